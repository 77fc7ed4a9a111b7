"""Sessions: the one conversation that a bead has, whatever the number of its runs. Source: SPEC, "Sessions"."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

Speaker = Literal["user", "assistant", "tool", "note"]


class Turn(BaseModel):
    """Something that was said. A `note` is ours: it stands for `left_out` turns of `left_out_characters` characters."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    role: Speaker
    text: str
    left_out: int = 0
    left_out_characters: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The conversation of a bead, as far as it is kept.

    `external_id` is what an agent program calls its own session; only a run of the same `runner` and `role` resumes
    that one, and only on `host`, where that is not empty. `turns` are what agents told us of the conversation.
    """

    runner: str = ""
    role: str = ""
    external_id: str = ""
    host: str = ""
    turns: tuple[Turn, ...] = ()
    started_at: datetime | None = None
    updated_at: datetime | None = None

    def resumable_id(self, *, runner: str, role: str, host: str) -> str:
        """Return the id of the program's own session for a run that can resume it; else nothing."""
        is_same = (self.runner, self.role) == (runner, role) and self.host in ("", host)
        return self.external_id if is_same else ""
