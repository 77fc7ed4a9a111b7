"""The words for what the model refuses: a ConfigurationError that names the line and the cure."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dispatch.errors import ConfigurationError
from dispatch.settings.finding import Finding
from dispatch.settings.model import Settings
from dispatch.settings.nearest import did_you_mean
from dispatch.settings.origins import key_text, value_text
from dispatch.settings.toml_lines import KeyPath

_PHRASES: Mapping[str, tuple[str, str]] = {
    "int_": ("is not a whole number", "Write a whole number, for example 2."),
    "decimal_": ("is not a number", "Write a number, for example 5.0."),
    "finite_number": ("is not a number that can be counted to", "Write a number, for example 5.0; 0 means none."),
    "string_too_short": ("is empty", "Write a value, or leave the key out."),
    "string_": ("is not a text", 'Write it in quotes, for example "main".'),
    "path_": ("is not a path", 'Write it in quotes, for example "some/path".'),
    "tuple_": ("is not a list", 'Write a list, for example ["one", "two"].'),
    "dict_": ("is not a table", "Write a section of that name in brackets, with its keys below it."),
    "model_": ("is not a table", "Write a section of that name in brackets, with its keys below it."),
}
"""What to say of an error of the model, by the beginning of its type; the first that fits."""


def configuration_error(refused: ValidationError, places: Mapping[KeyPath, str]) -> ConfigurationError:
    """Tell the first of the model's refusals, in the order of the file."""
    told = [(place_of(_path(error), places), error) for error in refused.errors(include_url=False)]
    place, error = min(told, key=lambda entry: _line(entry[0]))
    problem, cure = words_of(error)
    return ConfigurationError(place=place, problem=problem, cure=cure)


def contradiction_error(finding: Finding, places: Mapping[KeyPath, str]) -> ConfigurationError:
    return ConfigurationError(place=place_of(finding.path, places), problem=finding.problem, cure=finding.cure)


def place_of(path: KeyPath, places: Mapping[KeyPath, str]) -> str:
    """Return where a key stands; for one that is not written down, where its nearest table does."""
    for length in range(len(path), 0, -1):
        start = path[:length]
        if start in places:
            return places[start]
        below = next((place for key, place in places.items() if key[:length] == start), None)
        if below:
            return below
    return "the configuration"


def _line(place: str) -> int:
    number = place.rpartition(":")[2]
    return int(number) if number.isdigit() else 0


def _path(error: ErrorDetails) -> KeyPath:
    return tuple(str(step) for step in error["loc"])


def words_of(error: ErrorDetails, model: type[BaseModel] = Settings) -> tuple[str, str]:
    """Return the problem (with no full stop) and the cure (a sentence) of what a model refused."""
    path, kind, context = _path(error), error["type"], {**error.get("ctx", {}), "model": model}
    special = _SPECIAL.get(kind)
    if special:
        return special(path, error["input"], context)
    phrase, cure = next(
        (words for start, words in _PHRASES.items() if kind.startswith(start)),
        (f"is refused ({error['msg']})", "Correct it, or leave the key out."),
    )
    return _said(path, error["input"], phrase), cure


def _said(path: KeyPath, value: object, phrase: str) -> str:
    return f"{key_text(path)} = {value_text(value)} {phrase}"


def _unknown_key(path: KeyPath, value: object, context: Mapping[str, Any]) -> tuple[str, str]:
    *table, key = path
    known = _keys_of(context["model"], tuple(table))
    where = f"in [{key_text(tuple(table))}]" if table else "at the top level"
    return f'unknown key "{key}" {where}', did_you_mean(key, known) or f"The keys there are: {', '.join(known)}."


def _keys_of(model: type[BaseModel], table: KeyPath) -> list[str]:
    kind: Any = model
    for step in table:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[step].annotation
        else:
            kind = next(inside for inside in reversed(kind.__args__) if inside is not Ellipsis)
    return list(kind.model_fields)


def _missing_key(path: KeyPath, value: object, context: Mapping[str, Any]) -> tuple[str, str]:
    *table, key = path
    return f'[{key_text(tuple(table))}] has no "{key}"', f"Add {key} = ... to that section."


def _not_among(path: KeyPath, value: object, context: Mapping[str, Any]) -> tuple[str, str]:
    choices = re.findall(r"'([^']*)'", str(context["expected"]))
    cure = did_you_mean(str(value), choices) or f"Write one of them: {', '.join(choices)}."
    return _said(path, value, f"is not one of {', '.join(choices)}"), cure


def _too_small(path: KeyPath, value: object, context: Mapping[str, Any]) -> tuple[str, str]:
    return _said(path, value, f"is less than {context['ge']}"), f"Write {context['ge']} or more."


def _own_words(path: KeyPath, value: object, context: Mapping[str, Any]) -> tuple[str, str]:
    return _said(path, value, context["problem"]), context["cure"]


_SPECIAL: Mapping[str, Callable[[KeyPath, object, Mapping[str, Any]], tuple[str, str]]] = {
    "extra_forbidden": _unknown_key,
    "missing": _missing_key,
    "enum": _not_among,
    "greater_than_equal": _too_small,
    "setting": _own_words,
}
