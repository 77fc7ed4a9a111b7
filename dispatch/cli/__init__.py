"""The command line: `dispatch COMMAND`. Each group of commands is a module that registers itself."""

from dispatch.cli.program import build, main

__all__ = ["build", "main"]
