"""What an agent sees of the worker's environment: an allow-list. Source: PROTOCOL, rule 17."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from dispatch.errors import ConfigurationError

ALWAYS_PASSED = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "TERM")
"""Passed to every agent, and every `LC_...` with them."""
ASSIGNMENT_VARIABLE = "DISPATCH_ASSIGNMENT"
"""Names the file with the agent's assignment."""
PROMPT_VARIABLE = "DISPATCH_PROMPT"
"""Names the file that tells the same as a page of Markdown."""
SESSION_VARIABLE = "DISPATCH_SESSION_ID"
"""The agent program's own session, where this run is to resume one."""
NO_VARIABLES: Final[Mapping[str, str]] = MappingProxyType({})
_OUR_PREFIX = "DISPATCH_"


def check_names(names: Iterable[str]) -> None:
    """Refuse variables of dispatch itself: they hold the addresses and passwords of its servers.

    Raises ConfigurationError.
    """
    for name in names:
        if name.upper().startswith(_OUR_PREFIX):
            raise ConfigurationError(
                place="env of a runner",
                problem=f"{name} belongs to dispatch and is never given to an agent",
                cure="Take it out; give the agent a variable of its own.",
            )


def agent_environment(
    worker: Mapping[str, str], pass_names: Iterable[str] = (), values: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return an agent's environment: the always passed names, `pass_names` where they are set, and `values`."""
    passed = {*ALWAYS_PASSED, *pass_names}
    kept = {name: value for name, value in worker.items() if name in passed or name.startswith("LC_")}
    return kept | dict(values or {})
