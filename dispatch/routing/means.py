"""By which of a role's runners, and on which provider of models, a bead is worked on. Source: SPEC, "Routing".

How hard the bead is, and how often it failed, says how strong they are to be; which providers are up, which can be had.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dispatch.models.bead import Bead
from dispatch.routing.complexity import RunnerChoice, choose_runner, complexity_of
from dispatch.settings import Settings


@dataclass(frozen=True, slots=True)
class ProviderChoice:
    """The provider that a run gets, and why, in a sentence without a capital."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Means:
    """The runner of a bead, and its provider when that is an `llm`."""

    runner: RunnerChoice
    provider: ProviderChoice | None = None

    @property
    def provider_name(self) -> str:
        return self.provider.name if self.provider is not None else ""


def usable_runners(role: str, settings: Settings, up: Sequence[str]) -> list[str]:
    """Return the runners of a role that can be started while only the providers that are `up` answer."""
    return [runner for runner in settings.role(role).runners if up or not settings.is_llm(runner)]


def needs_provider(role: str, settings: Settings) -> bool:
    """Tell whether a role can only be worked in by a model: without a provider nobody can."""
    runners = settings.role(role).runners
    return bool(runners) and all(settings.is_llm(runner) for runner in runners)


def choose_means(role: str, bead: Bead, settings: Settings, up: Sequence[str]) -> Means | None:
    """Return by what a bead is worked on in a role; None: by nothing that could be started now.

    `up` are the role's providers that may be used, the weakest first.
    """
    runner = choose_runner(usable_runners(role, settings, up), bead)
    if runner is None:
        return None
    if not settings.is_llm(runner.name):
        return Means(runner)
    return Means(runner, choose_provider(settings.role_providers(role), bead, up))


def choose_provider(providers: Sequence[str], bead: Bead, up: Sequence[str]) -> ProviderChoice | None:
    """Return which of a role's providers, the weakest first, a bead gets; None: none is up.

    Where the one that its complexity and failures ask for is down, it is the next stronger one, else the next weaker.
    """
    usable = [name for name in providers if name in up]
    if not usable:
        return None
    if len(providers) == 1:
        return ProviderChoice(providers[0], "it is the only one of the role.")
    complexity = complexity_of(bead, bead.failures)
    wanted = complexity.runner_index(len(providers))
    because = f" ({'; '.join(complexity.reasons)})" if complexity.reasons else ""
    reason = f"the work is {complexity.level.name.lower()}{because}."
    for name in (*providers[wanted:], *reversed(providers[:wanted])):
        if name in usable:
            down = "" if name == providers[wanted] else f" {providers[wanted]} is down."
            return ProviderChoice(name, reason + down)
    return None
