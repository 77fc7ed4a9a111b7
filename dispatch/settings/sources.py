"""The three sources as layers: what each sets, and where each value stands.

A layer is checked only for names that no model could place (environment variables); all else is left to the model.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard, get_args, get_origin

from pydantic import BaseModel

from dispatch.errors import ConfigurationError
from dispatch.settings.discovery import CONFIG_VARIABLE, absolute
from dispatch.settings.fields import normal_name
from dispatch.settings.model import Settings
from dispatch.settings.nearest import did_you_mean
from dispatch.settings.toml_lines import KeyPath, key_lines, syntax_fault

ENVIRONMENT_PREFIX = "DISPATCH_"
OTHER_MEANINGS = frozenset({CONFIG_VARIABLE, "DISPATCH_ASSIGNMENT"})
"""Variables of ours that are no settings: the file to read, and what an agent program is given."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What one source sets. `places` tells where each key stands; of a file also its tables."""

    data: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, str] = field(default_factory=dict)


def file_layer(config: Path | None, cwd: Path) -> Layer:
    """Read the configuration file; its relative paths are relative to its directory. No file: an empty layer.

    Raises ConfigurationError for a file that cannot be read or is not TOML.
    """
    if config is None:
        return Layer()
    shown = str(config.relative_to(cwd)) if config.is_relative_to(cwd) else str(config)
    try:
        text = config.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as unreadable:
        raise ConfigurationError(
            place=shown, problem=f"cannot be read ({unreadable})", cure="It has to be a readable UTF-8 text."
        ) from unreadable
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as broken:
        raise _syntax_error(shown, text, broken) from broken
    places = {path: f"{shown}:{line}" for path, line in key_lines(text).items()}
    _anchor_paths(data, config.parent)
    return Layer(data, places)


def environment_layer(environ: Mapping[str, str], names: Mapping[str, Any], cwd: Path) -> Layer:
    """Read the DISPATCH_* variables. `names` is the data of the file, whose names of roles and so on are taken up.

    Raises ConfigurationError for a variable that names no setting, or holds a list or table that is not JSON.
    """
    layer = Layer()
    for variable in sorted(environ):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in OTHER_MEANINGS:
            continue
        path, kind = _setting_of(variable, names)
        value = _decoded(variable, environ[variable], kind)
        _insert(layer.data, path, value)
        layer.places.update(dict.fromkeys(_leaves(path, value), f"environment {variable}"))
    _anchor_paths(layer.data, cwd)
    return layer


def flag_layer(flags: Mapping[str, Any], cwd: Path) -> Layer:
    """Read the flags: keys as in the file, sections joined by points (`dispatch.lease`). None: not given."""
    layer = Layer()
    for key, value in flags.items():
        if value is not None:
            path = tuple(key.split("."))
            _insert(layer.data, path, value)
            layer.places.update(dict.fromkeys(_leaves(path, value), "flag"))
    _anchor_paths(layer.data, cwd)
    return layer


def _syntax_error(shown: str, text: str, broken: tomllib.TOMLDecodeError) -> ConfigurationError:
    line, problem = syntax_fault(text, broken)
    return ConfigurationError(place=f"{shown}:{line}", problem=f"is not TOML: {problem}", cure="Correct that line.")


def _anchor_paths(data: dict[str, Any], base: Path) -> None:
    """Make the paths of a layer absolute; an empty one means the default.

    A value of another type is left for the model to refuse.
    """
    holders = [(data, "home")]
    if isinstance(data.get("workflows"), dict):
        holders.append((data["workflows"], "directory"))
    for table, key in (("roles", "instructions"), ("projects", "path")):
        entries = data.get(table)
        if isinstance(entries, dict):
            holders += [(entry, key) for entry in entries.values() if isinstance(entry, dict)]
    for holder, key in holders:
        if holder.get(key) == "":
            del holder[key]
        elif isinstance(holder.get(key), str | Path):
            holder[key] = absolute(holder[key], base)


def _setting_of(variable: str, names: Mapping[str, Any]) -> tuple[KeyPath, Any]:
    """Return the path of the setting that a variable names, and the type of its value."""
    kind: Any = Settings
    path: KeyPath = ()
    known: Any = names
    for segment in variable.removeprefix(ENVIRONMENT_PREFIX).split("__"):
        fields = kind.model_fields if _is_model(kind) else {}
        if segment.lower() in fields:
            step, kind = segment.lower(), fields[segment.lower()].annotation
        elif _is_mapping(kind) and segment:
            step, kind = _entry_name(segment, known), get_args(kind)[1]
        else:
            raise _unknown_variable(variable, fields)
        path = (*path, step)
        known = known.get(step, {}) if isinstance(known, Mapping) else {}
    return path, kind


def _entry_name(segment: str, known: object) -> str:
    """Return the name in the file that a segment means; names there may hold what a variable cannot."""
    entries = known if isinstance(known, Mapping) else {}
    return next((name for name in entries if normal_name(name) == normal_name(segment)), normal_name(segment))


def _unknown_variable(variable: str, fields: Mapping[str, Any]) -> ConfigurationError:
    stem, _, last = variable.removeprefix(ENVIRONMENT_PREFIX).rpartition("__")
    start = ENVIRONMENT_PREFIX + (f"{stem}__" if stem else "")
    return ConfigurationError(
        place=f"environment {variable}",
        problem="names no setting",
        cure=did_you_mean(last, [name.upper() for name in fields], prefix=start)
        or "Unset it; `dispatch config` lists the settings.",
    )


def _decoded(variable: str, text: str, kind: Any) -> Any:
    """Return the value of a variable: JSON where the setting is a list or a table, else the text itself."""
    is_list = get_origin(kind) is tuple
    is_table = _is_model(kind) or _is_mapping(kind)
    if not (is_list or is_table):
        return text
    wanted, example = (list, '["one", "two"]') if is_list else (dict, '{"key": "value"}')
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, wanted):
        raise ConfigurationError(
            place=f"environment {variable}",
            problem=f"is not a {'list' if is_list else 'table'} in JSON",
            cure=f"Write it as JSON, for example {example}.",
        )
    return value


def _is_model(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _is_mapping(kind: Any) -> bool:
    return get_origin(kind) is Mapping


def _insert(data: dict[str, Any], path: KeyPath, value: Any) -> None:
    for step in path[:-1]:
        data = data.setdefault(step, {})
    if isinstance(value, Mapping) and isinstance(data.get(path[-1]), dict):
        for key, inner in value.items():
            _insert(data[path[-1]], (key,), inner)
    else:
        data[path[-1]] = value


def _leaves(path: KeyPath, value: object) -> Iterator[KeyPath]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves((*path, str(key)), inner)
    else:
        yield path
