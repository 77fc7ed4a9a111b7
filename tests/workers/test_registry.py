"""Which runner a run gets."""

from pathlib import Path
from typing import Any

import pytest

from dispatch.errors import ConfigurationError, NotFoundError
from dispatch.settings import Settings
from workers.registry import RunnerRegistry
from workers.runners import CommandRunner, PythonRunner


@pytest.fixture
def registry(tmp_path: Path) -> RunnerRegistry:
    values: dict[str, Any] = {
        "home": tmp_path,
        "runners": {
            "weak": {"kind": "command", "argv": ("true",)},
            "strong": {"kind": "command", "argv": ("false",)},
            "function": {"kind": "python", "target": "some_agent:work"},
        },
        "roles": {"dev": {"runners": ("weak", "strong"), "aliases": ("coder",)}, "idle": {}},
    }
    return RunnerRegistry(Settings.model_validate(values))


@pytest.mark.parametrize(("failures", "name"), [(0, "weak"), (1, "strong"), (7, "strong")])
def test_each_failure_in_a_row_takes_the_next_stronger_one(registry: RunnerRegistry, failures: int, name: str) -> None:
    assert registry.choose("dev", failures)[0] == name
    assert registry.choose("coder", failures)[0] == name


def test_each_is_made_once_and_of_its_kind(registry: RunnerRegistry) -> None:
    _, runner = registry.choose("dev", 0)
    assert isinstance(runner, CommandRunner)
    assert registry.choose("dev", 0)[1] is runner
    assert isinstance(registry.choose("dev", 0, "function")[1], PythonRunner)


def test_a_named_runner_goes_before_what_the_role_says(registry: RunnerRegistry) -> None:
    assert registry.choose("dev", 0, "strong")[0] == "strong"


def test_what_is_not_configured_is_an_error_that_names_the_cure(registry: RunnerRegistry) -> None:
    with pytest.raises(NotFoundError, match="Configured are: function, strong, weak"):
        registry.choose("dev", 0, "nonesuch")
    with pytest.raises(ConfigurationError, match=r"the role idle has no runner.*\[roles.idle\]"):
        registry.choose("idle", 0)
