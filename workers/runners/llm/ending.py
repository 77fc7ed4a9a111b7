"""How the model says that it is done, and what an end by an error means for the run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, Field
from pydantic_ai import exceptions as errors

from dispatch.models.provider import ProviderTrouble

_LONGEST_TOLD = 600


class Finish(BaseModel):
    """Say that you are done. The change is committed and tested after that; do not commit by yourself."""

    summary: Annotated[str, Field(description="In one or two sentences: what you did.")]
    nothing_to_do: Annotated[
        bool, Field(description="True only when everything that was asked for had been done before.")
    ] = False
    verdict: Annotated[
        Literal["", "approved", "rejected"],
        Field(description="Only when you review the work of others: whether it is good. The summary says why."),
    ] = ""


class AskHuman(BaseModel):
    """Ask a human, when you cannot go on without a decision or a fact that is nowhere to be found. Ends your turn."""

    question: Annotated[str, Field(min_length=1, description="The question, with what is needed to answer it.")]


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a run failed: a short cause that is always the same, and a sentence."""

    cause: str
    summary: str


def ending_of(error: Exception, provider: str, hide: Callable[[str], str]) -> Ending:
    """Return what an error of a model, or of asking it, means. `hide` takes the key out of what the endpoint said."""
    said = " ".join(hide(str(error)).split()).rstrip(".")
    said = said if len(said) <= _LONGEST_TOLD else f"{said[:_LONGEST_TOLD]} ..."
    for kinds, cause, what in _MEANINGS:
        if isinstance(error, kinds):
            return Ending(cause, f"{provider}: {what} ({said}).")
    status = getattr(error, "status_code", 0)
    if status == 402:
        return Ending(ProviderTrouble.KEY_REFUSED, f"{provider}: the account has no means left ({said}).")
    if status == 429:
        return Ending(ProviderTrouble.BUSY, f"{provider}: it is busy ({said}).")
    if status >= 500:
        return Ending(ProviderTrouble.BROKEN, f"{provider}: it fails ({said}).")
    if isinstance(error, errors.ModelAPIError):
        return Ending("model request refused", f"{provider} refuses the request ({said}).")
    return Ending("model misbehaves", f"The model of {provider} cannot be worked with ({said}).")


_MEANINGS: tuple[tuple[tuple[type[Exception], ...], str, str], ...] = (
    ((errors.UsageLimitExceeded,), "limit of the run", "the run has reached its limit"),
    ((errors.ModelContextWindowExceededError,), "conversation too long", "the conversation is too long for the model"),
    (
        (errors.ModelAuthenticationError, errors.ModelQuotaExceededError),
        ProviderTrouble.KEY_REFUSED,
        "it refuses the key, or its account has no means left",
    ),
    ((errors.ModelNotFoundError,), ProviderTrouble.UNKNOWN_MODEL, "it does not know the model"),
    ((errors.ModelRateLimitError,), ProviderTrouble.BUSY, "it is busy, also after the retries"),
    ((errors.ModelConnectionError,), ProviderTrouble.UNREACHABLE, "it does not answer"),
    ((errors.ModelServerError, errors.ModelUnavailableError), ProviderTrouble.BROKEN, "it fails"),
)
