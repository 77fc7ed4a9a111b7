"""The command `dispatch demo` and its options."""

from pathlib import Path
from typing import Annotated

import typer

from dispatch.cli.context import CommandContext
from dispatch.cli.demo.own import play_own
from dispatch.cli.demo.sample import play_sample
from dispatch.cli.demo.scene import DIRECTORY
from dispatch.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", epilog="Example: `dispatch demo --project ~/src/shop`")(demo)


def demo(
    context: typer.Context,
    project: Annotated[
        Path | None, typer.Option(help="A repository of yours with .beads/issues.jsonl, instead of the sample.")
    ] = None,
    go: Annotated[bool, typer.Option("--go", help="With --project: let its agents start, two at a time.")] = False,
    directory: Annotated[
        Path, typer.Option(help="Where the sample is made; it replaces the one of an earlier demo.")
    ] = Path(DIRECTORY),
    clean: Annotated[bool, typer.Option("--clean/--keep", help="Remove the sample at the end, or leave it.")] = False,
) -> None:
    """Show dispatch at work: a sample project with scripted agents, or with --project what it would do with yours."""
    if project is None:
        if go:
            raise UsageError(problem="--go lets the agents of a project start", cure="Name one: --project PATH.")
        code = play_sample(directory.expanduser().absolute(), clean=clean)
    else:
        command = CommandContext.of(context)
        code = play_own(project.expanduser(), home=command.home_option, config=command.config_option, go=go)
    raise typer.Exit(code)
