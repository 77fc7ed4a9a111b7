"""Agent programs that are driven in their own words. One file a program; `PROGRAMS` names them."""

from collections.abc import Mapping
from typing import Final

from dispatch.settings import Preset
from workers.runners.programs.base import Program
from workers.runners.programs.claude import Claude
from workers.runners.programs.codex import Codex
from workers.runners.programs.opencode import OpenCode
from workers.runners.programs.plain import PlainProgram
from workers.runners.programs.runner import ProgramRunner

PROGRAMS: Final[Mapping[Preset, Program]] = {
    Preset.CODEX: Codex(),
    Preset.CLAUDE: Claude(),
    Preset.OPENCODE: OpenCode(),
    Preset.ANY: PlainProgram(),
}

__all__ = ["PROGRAMS", "Program", "ProgramRunner"]
