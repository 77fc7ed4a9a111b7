"""What docs/lessons.md shows works as it stands there."""

import re
import shlex
import tomllib
from pathlib import Path

import typer

from dispatch.cli.program import build
from dispatch.models.messages import AGENT_EVENT, LessonEvent
from dispatch.settings import LessonSettings

PAGE = (Path(__file__).parents[2] / "docs/lessons.md").read_text()


def _blocks(language: str) -> list[str]:
    return [
        re.sub(r"(?m)^  ", "", text) if text.startswith("  ") else text
        for text in re.findall(rf"```{language}\n(.*?)^ *```", PAGE, re.DOTALL | re.MULTILINE)
    ]


def test_the_event_is_one() -> None:
    (line,) = _blocks("json")
    assert isinstance(AGENT_EVENT.validate_json(line), LessonEvent)


def test_the_settings_are_some_and_the_first_are_the_defaults() -> None:
    first, second = (tomllib.loads(block)["lessons"] for block in _blocks("toml"))
    assert LessonSettings.model_validate(first) == LessonSettings()
    assert LessonSettings.model_validate(second).embedder == "openai"


def test_the_page_names_every_setting() -> None:
    for name in LessonSettings.model_fields:
        assert name in PAGE


def test_the_embedder_of_ones_own_works() -> None:
    scope: dict[str, type] = {}
    exec(_blocks("python")[0], scope)
    assert scope["Lengths"]().embed(["ab\n"]) == [[3.0, 1.0, 1.0]]


def test_the_commands_are_commands() -> None:
    command = typer.main.get_command(build())
    for line in _blocks("sh")[0].strip().splitlines():
        _, *arguments = shlex.split(line, comments=True)
        group, name, *rest = arguments
        found = command.commands[group].commands[name]  # type: ignore[attr-defined]
        found.make_context(name, rest, resilient_parsing=False)
