"""The program `dispatch`: the options before the command, the commands, and how a call ends."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import structlog
import typer

from dispatch.cli import (
    beads,
    configuring,
    controlling,
    database,
    deciding,
    demo,
    doctor,
    down,
    editing,
    exchanging,
    lessons,
    memory,
    output,
    pausing,
    planning,
    projects,
    providers,
    run,
    running,
    setup,
    stopping,
    up,
    workflow,
)
from dispatch.cli.context import CommandContext
from dispatch.errors import DispatchError
from dispatch.version import VERSION

_GROUPS = (
    demo,
    setup,
    projects,
    exchanging,
    planning,
    run,
    up,
    down,
    pausing,
    stopping,
    beads,
    editing,
    controlling,
    deciding,
    memory,
    lessons,
    workflow,
    running,
    providers,
    doctor,
    configuring,
    database,
)
"""Modules with commands, in the order of the help."""
_INTERRUPTED = 130
_USAGE = 2


def build() -> typer.Typer:
    """Return the command line with all its commands."""
    app = typer.Typer(
        name="dispatch",
        help="Run a fleet of AI agents on the beads of your projects.",
        epilog="Example: `dispatch init`, then `dispatch up`",
        pretty_exceptions_enable=False,
    )
    app.callback(invoke_without_command=True)(_options)
    for group in _GROUPS:
        group.register(app)
    return app


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and end the process; the exit codes are those of `dispatch.errors`."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    sys.exit(_call(arguments))


def _call(arguments: Sequence[str] | None) -> int:
    command = typer.main.get_command(build())
    try:
        code = command(arguments, prog_name="dispatch", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except DispatchError as error:
        output.say(f"dispatch: {error}")
        return error.exit_code
    except typer.TyperException as error:
        output.say(f"dispatch: {_usage(error)}")
        return _USAGE
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone. What is left goes nowhere, or the interpreter would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _usage(error: typer.TyperException) -> str:
    asked = getattr(error, "ctx", None)
    path = asked.command_path if asked else "dispatch"
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    return f"{message.rstrip('.')}. See `{path} --help`."


def _show_version(wanted: bool) -> None:
    if wanted:
        output.write(f"dispatch {VERSION}")
        raise typer.Exit


def _options(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(help="Where servers, logs and worktrees are kept (else DISPATCH_HOME, else .dispatch)."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="The configuration file (else DISPATCH_CONFIG, else the nearest dispatch.toml).")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        output.write(context.get_help())
        return
    context.obj = CommandContext(home=home, config=config)
