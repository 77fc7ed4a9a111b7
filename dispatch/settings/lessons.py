"""How lessons are found again."""

import re
from datetime import timedelta
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from dispatch.settings.fields import HttpUrl, PositiveDuration, Section, VariableName, refusal

HASHING: Final = "hashing"
OPENAI: Final = "openai"


def _embedder(value: str) -> str:
    if value in (HASHING, OPENAI) or re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", value):
        return value
    raise refusal("is no embedder", f'Write "{HASHING}", "{OPENAI}", or your own as "module:function_or_class".')


class LessonSettings(Section):
    """How lessons are found: the `embedder` is `hashing`, `openai` (any endpoint of that kind), or `module:name`.

    `base_url`, `model` and `api_key_env`, the environment variable with the key, are those of the endpoint, which gets
    `timeout` to answer a run that starts. The relevance of a lesson halves in `half_life` after it was last learned,
    and again each time that its age is sixteen times as large. A run is told of `top_k` lessons at most.
    """

    embedder: Annotated[str, AfterValidator(_embedder)] = HASHING
    base_url: HttpUrl = ""
    model: str = ""
    api_key_env: VariableName = ""
    timeout: PositiveDuration = timedelta(seconds=2)
    half_life: PositiveDuration = timedelta(minutes=90)
    top_k: int = Field(default=5, ge=1, le=15)

    @model_validator(mode="after")
    def _has_endpoint(self) -> Self:
        if self.embedder == OPENAI and not (self.base_url and self.model):
            raise refusal("has no endpoint to ask", 'Give base_url and model beside embedder = "openai".')
        return self
