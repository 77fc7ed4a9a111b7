"""Every error that dispatch raises on purpose.

One root, so that a caller can catch them all. The docstring of a class is its message: its first paragraph is
filled with the facts given to the constructor and shown to the user as it is, so it names the place and the cure.

Exit codes of the command line: 0 done, 1 any other failure, 2 wrong usage or configuration, 3 no such thing,
4 refused because of the state something is in, 5 a server cannot be reached, 6 bad input, 130 interrupted.
"""

import inspect
from typing import Any, ClassVar


class DispatchError(Exception):
    """dispatch failed: {detail}."""

    exit_code: ClassVar[int] = 1

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        template = inspect.cleandoc(type(self).__doc__ or "").split("\n\n")[0].replace("\n", " ")
        super().__init__(template.format(**facts))


class ConfigurationError(DispatchError):
    """{place}: {problem}. {cure}"""

    exit_code = 2


class UsageError(DispatchError):
    """{problem}. {cure}"""

    exit_code = 2


class NotFoundError(DispatchError):
    """There is no {thing} {name!r}. {cure}"""

    exit_code = 3


class AmbiguousBeadError(DispatchError):
    """The bead id {bead_id!r} exists in more than one project ({projects}); write project/id, for example
    {example}."""

    exit_code = 2


class RefusedError(DispatchError):
    """{problem}. {cure}"""

    exit_code = 4


class UnavailableError(DispatchError):
    """{server} at {place} does not answer ({cause}). {cure}"""

    exit_code = 5


class BadInputError(DispatchError):
    """{place}: {problem}. {cure}"""

    exit_code = 6


class ContainerError(DispatchError):
    """{problem}. {cure}

    `cause` is the same words for the same trouble, as the cause of a failed run has to be.
    """

    exit_code = 5

    @property
    def cause(self) -> str:
        return str(self.facts["cause"])


class GitError(DispatchError):
    """git {command} failed in {place} (exit {code}): {output}"""


class CycleError(DispatchError):
    """{bead_id} cannot wait for {depends_on_id}: that would close the cycle {path}. Leave the edge out, or remove
    another edge of the cycle first."""

    exit_code = 4


class EmbeddedServerError(DispatchError):
    """The embedded {server} in {home} {problem}. Its log is {log}. {cure}"""

    exit_code = 5


class TickBusyError(DispatchError):
    """Another tick is at work and holds its lock; this one has nothing to add."""

    exit_code = 4
