"""What the configuration says of a project."""

from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from dispatch.settings.containers import Memory
from dispatch.settings.fields import Arguments, Dollars, OptionalDuration, Section, refusal
from dispatch.settings.workflows import WorkflowChoice


class Landing(StrEnum):
    """What happens to accepted work: merged into the target branch, or left on the bead's branch."""

    MERGE = "merge"
    NONE = "none"


def _known_landing(value: object) -> object:
    if value == "pr":
        raise refusal("is not in this version", 'Use "merge", or "none" and open the pull request yourself.')
    return value


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
    """

    path: Path | None = None
    target_branch: str = Field(default="main", min_length=1)
    default_role: str = Field(default="engineering-manager", min_length=1)
    test_command: Arguments = ()
    build_command: Arguments = ()
    landing: Annotated[Landing, BeforeValidator(_known_landing)] = Landing.MERGE
    task_timeout: OptionalDuration = None
    workflows: WorkflowChoice = WorkflowChoice.LABELLED
    caps: ProjectCapSettings = ProjectCapSettings()
    image: str = ""
    network: bool = False
    memory: Memory = 2 << 30
    cpus: float = Field(default=2.0, ge=0)
    pids: int = Field(default=256, ge=0)
