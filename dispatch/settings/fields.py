"""What the values of a configuration may be, and the base of its tables."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from dispatch.settings.addresses import BROKERS, RESULT_BACKENDS, find_fault
from dispatch.settings.durations import DURATION_EXAMPLES, parse_duration

EVIDENCE_FLAGS = re.IGNORECASE | re.MULTILINE | re.DOTALL
"""How the patterns of `bug_evidence` are read."""
NEVER: Final = "never"
"""What `role_wait` is when no time is long enough."""
_LONGEST_WAIT = timedelta(days=365)


def refusal(problem: str, cure: str) -> PydanticCustomError:
    """Build the error of a validator here. `problem` is a phrase that follows `key = value`, `cure` a sentence."""
    return PydanticCustomError("setting", "{problem}. {cure}", {"problem": problem, "cure": cure})


def normal_name(name: str) -> str:
    """Return a role's name in its normal form: lower case, words joined by single hyphens."""
    return re.sub(r"[\s_-]+", "-", name.strip().lower()).strip("-")


def _read_duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    wrong = refusal("is not a duration", f"Write for example {DURATION_EXAMPLES}.")
    if not isinstance(value, str | int | float):
        raise wrong
    try:
        return parse_duration(value)
    except ValueError as unreadable:
        raise wrong from unreadable


def _empty_is_none(value: object) -> object:
    return None if value == "" else value


def _duration_or_never(value: object) -> object:
    if isinstance(value, str) and value.strip().lower() == NEVER:
        return NEVER
    wait = _read_duration(value)
    if isinstance(wait, timedelta) and wait > _LONGEST_WAIT:
        raise refusal("is longer than a year", f'Write "{NEVER}".')
    return wait


def _above_zero(value: timedelta) -> timedelta:
    if value <= timedelta():
        raise refusal("is not longer than nothing", f"Write a duration above zero, for example {DURATION_EXAMPLES}.")
    return value


def _first_and_longest(value: object) -> object:
    if not (isinstance(value, list | tuple) and len(value) == 2):
        raise refusal("is not a pair of durations", 'Write the first and the longest wait: ["10s", "5m"].')
    return value


def _in_and_out(value: object) -> object:
    if not (isinstance(value, list | tuple) and len(value) == 2):
        raise refusal("is not a pair of prices", "Write dollars for a million tokens in and out: [1.25, 10.0].")
    return value


def _argument_list(value: object) -> object:
    if isinstance(value, str):
        raise refusal("is a text, not a list", 'Write a list, each element in quotes of its own: ["one", "two"].')
    return value


def _function_name(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", value):
        raise refusal("does not name a function", 'Write "module:function", for example "my_checks:ready".')
    return value


def _database_scheme(url: str) -> str:
    if url and not re.match(r"(postgres|postgresql|postgresql\+psycopg)://", url):
        raise refusal("is not the address of a PostgreSQL", "Write postgresql://user:password@host/database.")
    return url


def _server_address(schemes: tuple[str, ...]) -> AfterValidator:
    def check(url: str) -> str:
        fault = find_fault(url, schemes) if url else None
        if fault is not None:
            raise refusal(fault.problem, fault.cure)
        return url

    return AfterValidator(check)


def _prefix(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", value):
        raise refusal("cannot be a key prefix", "Use letters, digits, points, hyphens and underscores.")
    return value


def _evidence_pattern(pattern: str) -> str:
    try:
        fits_nothing = re.compile(pattern, EVIDENCE_FLAGS).search("")
    except (re.error, OverflowError, RecursionError) as broken:
        raise refusal(
            f"is not a regular expression ({broken})", "Correct it; single quotes keep its backslashes as they are."
        ) from broken
    if fits_nothing:
        raise refusal("fits every text, even an empty one", "Write what a report has to hold.")
    return pattern


def _http_url(value: str) -> str:
    if value and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
        raise refusal(
            "is not the address of an endpoint",
            "Write for example https://models.example.com/v1, without a user, password or query.",
        )
    return value


def _variable(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise refusal("cannot be the name of a variable", "Name the environment variable that holds the key.")
    return value


Patience = Annotated[timedelta | Literal["never"], BeforeValidator(_duration_or_never)]
PositiveDuration = Annotated[timedelta, BeforeValidator(_read_duration), AfterValidator(_above_zero)]
OptionalDuration = Annotated[PositiveDuration | None, BeforeValidator(_empty_is_none)]
Waits = Annotated[tuple[PositiveDuration, PositiveDuration], BeforeValidator(_first_and_longest)]
Arguments = Annotated[tuple[str, ...], BeforeValidator(_argument_list)]
DatabaseUrl = Annotated[str, AfterValidator(_database_scheme), Field(repr=False)]
BrokerUrl = Annotated[str, _server_address(BROKERS), Field(repr=False)]
ResultUrl = Annotated[str, _server_address(RESULT_BACKENDS), Field(repr=False)]
FunctionName = Annotated[str, AfterValidator(_function_name)]
Dollars = Annotated[Decimal, Field(ge=0)]
Prices = Annotated[tuple[Dollars, Dollars], BeforeValidator(_in_and_out)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
VariableName = Annotated[str, AfterValidator(_variable)]
KeyPrefix = Annotated[str, AfterValidator(_prefix)]
EvidencePattern = Annotated[str, AfterValidator(_evidence_pattern)]


class Section(BaseModel):
    """A table of the configuration: frozen, and strange to keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
