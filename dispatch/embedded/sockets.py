"""Where sockets can be: in the home if its path allows, else in a short private directory."""

import hashlib
import os
import re
import stat
import sys
from pathlib import Path

from dispatch.embedded.home import EmbeddedHome
from dispatch.errors import EmbeddedServerError

# The kernel's sockaddr_un holds 108 bytes on Linux and 104 on macOS, the closing zero included.
_LONGEST_PATH = 103 if sys.platform == "darwin" else 107
# libpq splits a host at commas, and URLs give meaning to more: only plain paths go into an address.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+-]+")
_LONGEST_NAME = ".s.PGSQL.5432"
_VALKEY_NAME = "valkey.sock"


def valkey_socket(directory: Path) -> Path:
    """Return Valkey's socket in a socket directory."""
    return directory / _VALKEY_NAME


def socket_directory(home: EmbeddedHome) -> Path:
    """Return a directory (0700, ours) for the sockets of a home, made if it is missing.

    Raises EmbeddedServerError when the short directory's name is taken by somebody else.
    """
    if _fits(home.run):
        return home.run
    directory = _short_directory(home)
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise EmbeddedServerError(
            server="servers",
            home=home.root,
            problem=f"cannot use {directory} for their sockets: it is not a private directory of uid {os.geteuid()}",
            log=home.keeper_log,
            cure="Remove it, or set a `home` with a shorter path.",
        )
    return directory


def remove_short_directory(home: EmbeddedHome) -> None:
    """Remove the short directory of a home whose servers are down, if it has one."""
    endpoints = home.read_endpoints()
    if endpoints is None:
        return
    directory = endpoints.valkey_socket.parent
    # A record is only a file: nothing is removed on its word but what can be the short directory of this very home.
    if directory.name not in _short_names(home) or directory.is_symlink() or not directory.is_dir():
        return
    for name in (_LONGEST_NAME, f"{_LONGEST_NAME}.lock", _VALKEY_NAME):
        (directory / name).unlink(missing_ok=True)
    directory.rmdir()


def _fits(directory: Path) -> bool:
    path = str(directory / _LONGEST_NAME)
    return len(os.fsencode(path)) <= _LONGEST_PATH and _PLAIN_PATH.fullmatch(path) is not None


def _short_names(home: EmbeddedHome) -> tuple[str, str]:
    """Return the directory's name where it is in the user's own runtime directory, and in the one for everybody."""
    digest = hashlib.sha256(os.fsencode(home.root)).hexdigest()[:12]
    return f"dispatch-{digest}", f"dispatch-{os.geteuid()}-{digest}"


def _short_directory(home: EmbeddedHome) -> Path:
    name_in_session, name_in_tmp = _short_names(home)
    session = Path(os.environ.get("XDG_RUNTIME_DIR") or "/nonexistent")
    in_session = session / name_in_session
    if _fits(in_session) and session.is_dir() and session.stat().st_uid == os.geteuid():
        return in_session
    return Path("/tmp") / name_in_tmp
