"""Where the definitions of workflows are, and which beads of a project begin one."""

from enum import StrEnum
from pathlib import Path

from dispatch.settings.fields import Section


class WorkflowChoice(StrEnum):
    """Which beads of a project begin a workflow: those with a label `workflow:<name>`, or none.

    With `auto` those too whose type, labels or title a workflow is for.
    """

    LABELLED = "labelled"
    AUTO = "auto"
    OFF = "off"


class WorkflowSettings(Section):
    """Every `*.toml` in `directory` defines a workflow; one of a built-in's name replaces that. None: only those."""

    directory: Path | None = None
