"""The embedder that the settings name."""

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from dispatch.embedders.openai import OpenAIEmbedder
from dispatch.errors import ConfigurationError
from dispatch.lessons import HashingEmbedder
from dispatch.ports import Embedder
from dispatch.settings import LessonSettings
from dispatch.settings.lessons import HASHING, OPENAI


class FunctionEmbedder:
    """An embedder made of a function of texts."""

    def __init__(self, name: str, function: Callable[[Sequence[str]], Sequence[Sequence[float]]]) -> None:
        self.name = name
        self._function = function

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return self._function(texts)


def make_embedder(settings: LessonSettings, environ: Mapping[str, str] = os.environ) -> Embedder:
    """Return the embedder that is set; raises `ConfigurationError` when it cannot be had.

    `module:name` is a function of texts, an object that has `embed`, or a class of such, which is called without
    arguments.
    """
    if settings.embedder == HASHING:
        return HashingEmbedder()
    if settings.embedder == OPENAI:
        return OpenAIEmbedder(
            settings.base_url, settings.model, api_key=_key(settings, environ), timeout=settings.timeout.total_seconds()
        )
    return _own(settings.embedder)


def _key(settings: LessonSettings, environ: Mapping[str, str]) -> str:
    if not settings.api_key_env:
        return ""
    key = environ.get(settings.api_key_env, "").strip()
    if not key:
        raise ConfigurationError(
            place="api_key_env of [lessons]",
            problem=f"the environment variable {settings.api_key_env} is not set here",
            cure="Set it where dispatch and its workers are started.",
        )
    return key


def _own(target: str) -> Embedder:
    module, _, name = target.partition(":")
    try:
        found: Any = getattr(import_module(module), name)
        embedder = found() if isinstance(found, type) else found
    except Exception as error:
        raise ConfigurationError(
            place="embedder of [lessons]",
            problem=f"{target} cannot be had ({error!r})",
            cure="Correct it, or make the module importable where dispatch runs.",
        ) from error
    if callable(getattr(embedder, "embed", None)):
        made: Embedder = embedder
        return made
    if callable(embedder):
        return FunctionEmbedder(target, embedder)
    raise ConfigurationError(
        place="embedder of [lessons]",
        problem=f"{target} neither has a method embed nor is a function",
        cure="Name a function that returns a vector for each of a list of texts.",
    )
