"""`doctor`: look at all parts and say how to mend what is broken."""

import typer

from dispatch.cli import output
from dispatch.cli.context import CommandContext
from dispatch.cli.examination import Finding, Health, examine
from dispatch.cli.options import JsonOption


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `dispatch doctor || dispatch up`")(doctor)


def doctor(context: typer.Context, as_json: JsonOption = False) -> None:
    """Look at all parts of the deployment and say how to mend them. Exits with 1 when something is broken."""
    findings = list(examine(CommandContext.of(context)))
    if as_json:
        output.write_json(findings)
    else:
        for finding in findings:
            output.write(_line(finding))
    if any(finding.health is Health.BROKEN for finding in findings):
        raise typer.Exit(1)


def _line(finding: Finding) -> str:
    cure = f" {finding.cure}" if finding.cure else ""
    stop = "" if finding.found.endswith(".") or not cure else "."
    return f"{finding.health:<8} {finding.part}: {finding.found}{stop}{cure}"
