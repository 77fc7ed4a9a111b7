"""The agent programs that dispatch knows how to start and to listen to: what a configuration says of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Preset(StrEnum):
    """A way to drive an agent program that does not speak dispatch's own protocol.

    `any` is for every program that reads its prompt from standard input and writes text.
    """

    CODEX = "codex"
    CLAUDE = "claude"
    OPENCODE = "opencode"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class KnownProgram:
    """The program of a preset as it is called on PATH, and the variable that usually holds its key."""

    program: str
    key: str


KNOWN_PROGRAMS: Final[Mapping[Preset, KnownProgram]] = {
    Preset.CODEX: KnownProgram("codex", "OPENAI_API_KEY"),
    Preset.CLAUDE: KnownProgram("claude", "ANTHROPIC_API_KEY"),
    Preset.OPENCODE: KnownProgram("opencode", "OPENAI_API_KEY"),
}
"""The presets that name a program. The one of `any` is told by its runner."""
