"""What the keys of providers, roles and `llm` runners must be together."""

from collections.abc import Iterator

from dispatch.settings.finding import Finding
from dispatch.settings.model import Settings
from dispatch.settings.nearest import did_you_mean


def provider_contradictions(settings: Settings) -> Iterator[Finding]:
    yield from _keys(settings)
    yield from _roles(settings)


def _keys(settings: Settings) -> Iterator[Finding]:
    """Keep the keys of models where they belong: out of dispatch's own variables, and from the commands of agents."""
    for name, provider in settings.providers.items():
        variable, place = provider.api_key_env, ("providers", name, "api_key_env")
        if variable.upper().startswith("DISPATCH_"):
            yield Finding(
                place,
                f'the key of provider "{name}" would be in {variable}, and variables of that kind are dispatch\'s own',
                "Give the key a variable of another name.",
            )
        for runner in settings.runners:
            if variable and settings.is_llm(runner) and variable in settings.runners[runner].env:
                yield Finding(
                    ("runners", runner, "env"),
                    f'the llm runner "{runner}" would pass {variable}, the key of provider "{name}", to its commands',
                    "Take it out of env: the provider's api_key_env is enough.",
                )


def _roles(settings: Settings) -> Iterator[Finding]:
    for name, role in settings.roles.items():
        for provider in role.providers:
            if provider not in settings.providers:
                yield Finding(
                    ("roles", name, "providers"),
                    f'role "{name}" names the unknown provider "{provider}"',
                    did_you_mean(provider, settings.providers)
                    or f"Add [providers.{provider}], or name one that exists.",
                )
        asking = next((runner for runner in role.runners if settings.is_llm(runner)), None)
        if asking is not None and not settings.role_providers(name):
            yield Finding(
                ("roles", name, "runners"),
                f'role "{name}" has the llm runner "{asking}", and no provider of models is configured',
                'Add [providers.main] with kind = "openai" or "anthropic", and its model.',
            )
        elif role.providers and asking is None:
            yield Finding(
                ("roles", name, "providers"),
                f'role "{name}" has providers and no llm runner that would use them',
                "Remove it, or name a runner of kind llm.",
            )
