"""Providers of models in the configuration: defaults, and every fault with its line and its cure."""

from decimal import Decimal
from pathlib import Path

import pytest

from dispatch.errors import ConfigurationError
from dispatch.settings import ProviderKind, explain, load_settings

MAIN = '[providers.main]\nkind = "openai"\nmodel = "m"\n'
LLM = '[runners.model]\nkind = "llm"\n'


def test_a_small_configuration_is_enough(tmp_path: Path) -> None:
    config = tmp_path / "dispatch.toml"
    config.write_text(
        f'{MAIN}api_key_env = "MY_KEY"\nusd_per_mtok = [1.25, 10.0]\n'
        '[providers.other]\nkind = "anthropic"\nmodel = "n"\n'
        f'{LLM}max_iterations = 7\n[roles.dev]\nrunners = ["model"]\n'
    )
    settings = load_settings(config=config, environ={"DISPATCH_PROVIDERS__MAIN__MODEL": "mine"}, cwd=tmp_path)
    main, other = settings.providers["main"], settings.providers["other"]
    assert (main.kind, main.model, main.usd_per_mtok) == (ProviderKind.OPENAI, "mine", (Decimal("1.25"), Decimal(10)))
    assert main.endpoint == "https://api.openai.com/v1"
    assert (other.endpoint, other.usd_per_mtok) == ("https://api.anthropic.com", (Decimal(0), Decimal(0)))
    runner = settings.runners["model"]
    assert (runner.max_iterations, runner.max_tokens, runner.request_retries) == (7, 0, 4)
    assert settings.role_providers("dev") == ("main", "other")
    shown = {one.key: one.value for one in explain(settings)}
    assert shown["providers.main.api_key_env"] == '"MY_KEY"', "the name, and never what it holds"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[providers.main]\nkind = "mistral"\nmodel = "m"',
            'dispatch.toml:2: providers.main.kind = "mistral" is not one of openai, anthropic. Write one of them: '
            "openai, anthropic.",
        ),
        ('[providers.main]\nkind = "openai"', '[providers.main] has no "model". Add model = ... to that section.'),
        (MAIN.replace('"m"', '" "'), 'dispatch.toml:3: providers.main.model = " " names no model. Write the model\'s '),
        (MAIN + 'base_url = "models.local"', 'dispatch.toml:4: providers.main.base_url = "models.local" is not the ad'),
        (MAIN + 'api_key_env = "sk-12 34"', 'dispatch.toml:4: providers.main.api_key_env = "sk-12 34" cannot be the n'),
        (MAIN + 'api_key_env = "DISPATCH_KEY"', 'dispatch.toml:4: the key of provider "main" would be in DISPATCH_KEY'),
        (
            MAIN + "usd_per_mtok = 3",
            "dispatch.toml:4: providers.main.usd_per_mtok = 3 is not a pair of prices. Write d",
        ),
        (MAIN + "usd_per_mtok = [1, -1]", "dispatch.toml:4: providers.main.usd_per_mtok.1 = -1 is less than 0"),
        (MAIN + "context_tokens = 10", "dispatch.toml:4: providers.main.context_tokens = 10 is less than 8000"),
        (MAIN + "prize = 1", 'dispatch.toml:4: unknown key "prize" in [providers.main].'),
        (MAIN.replace("main", '"a b"'), 'dispatch.toml:1: "a b" cannot be a name in [providers]. Use letters'),
        (
            f'{LLM}[roles.dev]\nrunners = ["model"]',
            'dispatch.toml:4: role "dev" has the llm runner "model", and no provider of models is configured. Add '
            '[providers.main] with kind = "openai" or "anthropic", and its model.',
        ),
        (
            f'{MAIN}{LLM}[roles.dev]\nrunners = ["model"]\nproviders = ["mian"]',
            'dispatch.toml:8: role "dev" names the unknown provider "mian". Did you mean "main"?',
        ),
        (
            f'{MAIN}[roles.dev]\nproviders = ["main"]',
            'dispatch.toml:5: role "dev" has providers and no llm runner that would use them. Remove it, or name a',
        ),
        (LLM + 'argv = ["x"]', 'dispatch.toml:3: the llm runner "model" cannot have an argv. Remove it.'),
        (LLM + 'target = "a:b"', 'dispatch.toml:3: the llm runner "model" cannot have a target. Remove it.'),
        (LLM + "runs_per_process = 2", 'dispatch.toml:3: each run of the llm runner "model" is a process of its own.'),
        (LLM + "max_iterations = 0", "dispatch.toml:3: runners.model.max_iterations = 0 is less than 1"),
        (
            '[runners.own]\nkind = "command"\nargv = ["x"]\nmax_tokens = 5',
            'dispatch.toml:4: the command runner "own" asks no model, so it has no max_tokens. Remove it.',
        ),
        (
            f'{MAIN}api_key_env = "KEY"\n{LLM}env = ["KEY"]',
            'dispatch.toml:7: the llm runner "model" would pass KEY, the key of provider "main", to its commands. Take',
        ),
        ('[guards]\nprovider_cooldown = ["5m", "10s"]', "dispatch.toml:2: the first cooldown (5m) is longer than the"),
    ],
)
def test_a_fault_is_told_with_its_place_and_cure(tmp_path: Path, text: str, message: str) -> None:
    config = tmp_path / "dispatch.toml"
    config.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        load_settings(config=config, environ={}, cwd=tmp_path)
    assert message in str(refused.value).replace(f"{tmp_path}/", "")
