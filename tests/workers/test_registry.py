"""Which runner a run gets."""

from pathlib import Path
from typing import Any

import pytest

from dispatch.errors import ConfigurationError, NotFoundError
from dispatch.models.bead import Bead
from dispatch.models.identity import BeadId
from dispatch.settings import Settings
from workers.registry import RunnerRegistry
from workers.runners import CommandRunner, PythonRunner
from workers.runners.pricing import PricedRunner
from workers.runners.programs import ProgramRunner


def _bead(**said: Any) -> Bead:
    return Bead(id=BeadId("shop-1"), **{"title": "Do it", **said})


@pytest.fixture
def registry(tmp_path: Path) -> RunnerRegistry:
    values: dict[str, Any] = {
        "home": tmp_path,
        "runners": {
            "weak": {"kind": "command", "argv": ("true",)},
            "strong": {"kind": "command", "argv": ("false",)},
            "function": {"kind": "python", "target": "some_agent:work"},
            "codex": {"preset": "codex"},
            "priced": {"preset": "any", "argv": ("true",), "usd_per_mtok": (1, 2)},
        },
        "roles": {"dev": {"runners": ("weak", "strong"), "aliases": ("coder",)}, "idle": {}},
    }
    return RunnerRegistry(Settings.model_validate(values))


@pytest.mark.parametrize(("failures", "name"), [(0, "weak"), (1, "strong"), (7, "strong")])
def test_each_failure_in_a_row_takes_the_next_stronger_one(registry: RunnerRegistry, failures: int, name: str) -> None:
    assert registry.choose("dev", _bead(failures=failures))[0] == name
    assert registry.choose("coder", _bead(failures=failures))[0] == name


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ({"title": "Mend a typo"}, "weak"),
        ({"title": "Mend a typo", "priority": 0}, "strong"),
        ({"title": "Decide about a typo"}, "strong"),
        ({"title": "Mend the deadlock", "issue_type": "feature"}, "strong"),
    ],
)
def test_harder_work_begins_with_a_stronger_one(registry: RunnerRegistry, said: dict[str, Any], name: str) -> None:
    assert registry.choose("dev", _bead(**said))[0] == name


def test_each_is_made_once_and_of_its_kind(registry: RunnerRegistry) -> None:
    _, runner = registry.choose("dev", _bead())
    assert isinstance(runner, CommandRunner)
    assert registry.choose("dev", _bead())[1] is runner
    assert isinstance(registry.choose("dev", _bead(), "function")[1], PythonRunner)
    assert isinstance(registry.choose("dev", _bead(), "codex")[1], ProgramRunner)
    assert isinstance(registry.choose("dev", _bead(), "priced")[1], PricedRunner)


def test_a_named_runner_goes_before_what_the_role_says(registry: RunnerRegistry) -> None:
    assert registry.choose("dev", _bead(), "strong")[0] == "strong"


def test_what_is_not_configured_is_an_error_that_names_the_cure(registry: RunnerRegistry) -> None:
    with pytest.raises(NotFoundError, match="Configured are: codex, function, priced, strong, weak"):
        registry.choose("dev", _bead(), "nonesuch")
    with pytest.raises(ConfigurationError, match=r"the role idle has no runner.*\[roles.idle\]"):
        registry.choose("idle", _bead())
