"""Where the configuration file and the home directory are."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from dispatch.errors import ConfigurationError

CONFIG_NAME = "dispatch.toml"
HOME_NAME = ".dispatch"
HOME_VARIABLE = "DISPATCH_HOME"
CONFIG_VARIABLE = "DISPATCH_CONFIG"


def find_config(config: Path | None, explicit_home: Path | None, environ: Mapping[str, str], cwd: Path) -> Path | None:
    """Return the configuration file to read: the named one, that of an explicit home, or the nearest above `cwd`.

    Raises ConfigurationError when the argument or DISPATCH_CONFIG names something that is not a file.
    """
    named = config or environ.get(CONFIG_VARIABLE)
    if named:
        path = absolute(named, cwd)
        if not path.is_file():
            place = str(path) if config else f"environment {CONFIG_VARIABLE}"
            raise ConfigurationError(
                place=place, problem=f"there is no file {path}", cure="Name a configuration file that exists."
            )
        return path
    if explicit_home and (explicit_home / CONFIG_NAME).is_file():
        return explicit_home / CONFIG_NAME
    return next((place / CONFIG_NAME for place in _upwards(cwd) if (place / CONFIG_NAME).is_file()), None)


def default_home(cwd: Path) -> Path:
    """Return the nearest `.dispatch` above `cwd`, or where it is to be: the top of the git repository, else `cwd`."""
    existing = next((place / HOME_NAME for place in _upwards(cwd) if (place / HOME_NAME).is_dir()), None)
    if existing:
        return existing
    top = next((place for place in _upwards(cwd) if (place / ".git").exists()), cwd)
    return top / HOME_NAME


def absolute(path: str | Path, base: Path) -> Path:
    """Return the path, relative to `base` unless it is absolute, with `~` and symbolic links resolved."""
    return (base / Path(path).expanduser()).resolve()


def _upwards(cwd: Path) -> Iterator[Path]:
    yield cwd
    yield from cwd.parents
