"""The embedder that the settings name."""

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from dispatch.embedders import OpenAIEmbedder, make_embedder
from dispatch.errors import ConfigurationError
from dispatch.lessons import HashingEmbedder
from dispatch.settings import LessonSettings

NEITHER = 7


def lengths(texts: Sequence[str]) -> list[list[float]]:
    return [[float(len(text)), 1.0] for text in texts]


class Lengths:
    name = "lengths"

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return lengths(texts)


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given that this file can be imported as a module."""
    import sys

    monkeypatch.setitem(sys.modules, "my_vectors", sys.modules[__name__])


def test_hashing_is_what_is_used_unless_said() -> None:
    assert isinstance(make_embedder(LessonSettings()), HashingEmbedder)


@pytest.mark.usefixtures("importable")
@pytest.mark.parametrize("name", ["lengths", "Lengths"])
def test_ones_own_is_a_function_or_a_class(name: str) -> None:
    assert make_embedder(LessonSettings(embedder=f"my_vectors:{name}")).embed(["abc"]) == [[3.0, 1.0]]


@pytest.mark.usefixtures("importable")
@pytest.mark.parametrize("target", ["no_such_module_here:embed", "my_vectors:nothing", "my_vectors:NEITHER"])
def test_what_cannot_be_had_names_the_setting(target: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"embedder of \[lessons\]: {target}"):
        make_embedder(LessonSettings(embedder=target))


def _endpoint(**more: Any) -> LessonSettings:
    return LessonSettings(embedder="openai", base_url="http://127.0.0.1:9/v1", model="small", **more)


def test_an_endpoint_gets_its_key_from_the_environment() -> None:
    made = make_embedder(_endpoint(api_key_env="MY_KEY"), {"MY_KEY": "sk-1"})
    assert isinstance(made, OpenAIEmbedder)
    assert isinstance(make_embedder(_endpoint(), {}), OpenAIEmbedder)


def test_a_key_that_is_not_set_names_its_variable() -> None:
    with pytest.raises(ConfigurationError, match="the environment variable MY_KEY is not set"):
        make_embedder(_endpoint(api_key_env="MY_KEY"), {"MY_KEY": " "})


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"embedder": "openai"}, "has no endpoint to ask"),
        ({"embedder": "openai", "model": "small"}, "has no endpoint to ask"),
        ({"embedder": "word2vec"}, "is no embedder"),
        ({"base_url": "https://user:key@models.example/v1"}, "is not the address of an endpoint"),
        ({"base_url": "ftp://models.example"}, "is not the address of an endpoint"),
        ({"api_key_env": "sk-123"}, "cannot be the name of a variable"),
        ({"half_life": "0s"}, "is not longer than nothing"),
        ({"top_k": 16}, "less than or equal to 15"),
        ({"api_key": "sk-1"}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        LessonSettings.model_validate(settings)
