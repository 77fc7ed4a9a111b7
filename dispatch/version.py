"""The version of this installation."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("bead-dispatch")
except PackageNotFoundError:
    VERSION = "0+source"
