"""What the configuration says of a project."""

import re
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from dispatch.settings.containers import Memory
from dispatch.settings.fields import Arguments, Dollars, OptionalDuration, Section, refusal
from dispatch.settings.workflows import WorkflowChoice


class Landing(StrEnum):
    """What happens to accepted work: merged into the target branch, offered as a pull request, or left on its branch.

    `AUTO` is a pull request where the project has a remote, and a merge where it has none.
    """

    AUTO = "auto"
    MERGE = "merge"
    PR = "pr"
    NONE = "none"


PLACEHOLDERS = ("branch", "base", "title", "body", "body_file", "bead")
"""What `pr_command` is filled in with, each as an argument of its own: `{branch}`."""


def _known_placeholders(arguments: tuple[str, ...]) -> tuple[str, ...]:
    for argument in arguments:
        for name in re.findall(r"\{(\w+)\}", argument):
            if name not in PLACEHOLDERS:
                known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
                raise refusal(f"has the unknown placeholder {{{name}}}", f"Use {known}.")
            if argument != f"{{{name}}}":
                raise refusal(
                    f"has {{{name}}} inside an argument", f'Make it an argument of its own: "--option", "{{{name}}}".'
                )
    return arguments


def _remote_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_./-]*", name):
        raise refusal("cannot be the name of a remote", 'Write a name that `git remote` lists, such as "origin".')
    return name


def _clone_address(url: str) -> str:
    """Refuse what git takes for an option, and addresses by which git would start a program."""
    if url.startswith("-") or "::" in url.partition("/")[0] or any(char.isspace() for char in url):
        raise refusal("is not the address of a repository", "Write for example https://host/owner/name.git.")
    return url


class ProjectCapSettings(Section):
    """Caps in dollars: `bead_usd` for all runs of a bead, `project_usd_day` for those of a project in a day of UTC.

    0: none.
    """

    bead_usd: Dollars = Decimal(0)
    project_usd_day: Dollars = Decimal(0)


class ProjectSettings(Section):
    """What the configuration says of a project; all of it has defaults, so that an unlisted project works.

    `caps` that are given here hold instead of those of all projects.

    With an `image` the project's tests, and agents whose runner asks for it, run in containers made from it: without a
    network unless `network` is true, with at most `memory` (bytes, or "2g"), `cpus` and `pids` (processes and
    threads). 0: no limit.

    `remote` is the remote of the repository that pull requests go to. `url` is where hosts that do not have `path`
    clone the project from; with it the target branch is the one there, and work travels between hosts through it. A
    host with `use_clone` works from a clone even where `path` is there. `pr_command` opens a pull request; empty:
    `gh`, or what to type where that is not installed. `test_timeout` limits the tests of a landing; None: as long as a
    run may take.
    """

    path: Path | None = None
    target_branch: str = Field(default="main", min_length=1)
    default_role: str = Field(default="engineering-manager", min_length=1)
    test_command: Arguments = ()
    build_command: Arguments = ()
    test_timeout: OptionalDuration = None
    landing: Landing = Landing.AUTO
    remote: Annotated[str, AfterValidator(_remote_name)] = "origin"
    url: Annotated[str, AfterValidator(_clone_address), Field(repr=False)] = ""
    use_clone: bool = False
    pr_command: Annotated[Arguments, AfterValidator(_known_placeholders)] = ()
    task_timeout: OptionalDuration = None
    workflows: WorkflowChoice = WorkflowChoice.LABELLED
    caps: ProjectCapSettings = ProjectCapSettings()
    image: str = ""
    network: bool = False
    memory: Memory = 2 << 30
    cpus: float = Field(default=2.0, ge=0)
    pids: int = Field(default=256, ge=0)
