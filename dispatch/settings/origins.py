"""Each value and where it came from, as `dispatch config` shows it. No password is ever in the text."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from pydantic import BaseModel

from dispatch.settings.durations import format_duration
from dispatch.settings.model import Settings
from dispatch.settings.toml_lines import KeyPath

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class SettingOrigin:
    """One setting: its dotted key, its value as TOML, and its origin.

    The origin is `default`, `dispatch.toml:12`, `environment DISPATCH_X` or `flag`.
    """

    key: str
    value: str
    origin: str


def explain(settings: Settings) -> list[SettingOrigin]:
    """List every setting, in the order of the file's sections."""
    return [
        SettingOrigin(key_text(path), value_text(value), settings.origins.get(path, DEFAULT))
        for path, value in _leaves((), settings)
    ]


def mask_password(text: str) -> str:
    """Return the text with every password in an address replaced by `***`, and all that stands there of a web address.

    Forges take tokens in the place of a name.
    """
    masked = re.sub(r"(?<=://)([^/@\s:]*):[^/\s]*@", r"\1:***@", text)
    masked = re.sub(r"(?i)(https?://)[^/@\s:]+@", r"\1***@", masked)
    return re.sub(r"(?i)([?&](?:password|passwd|sslpassword)=)[^&\s]*", r"\1***", masked)


def key_text(path: KeyPath) -> str:
    """Write a path as a dotted key, in quotes where TOML wants them."""
    return ".".join(step if re.fullmatch(r"[A-Za-z0-9_-]+", step) else json.dumps(step) for step in path)


def value_text(value: object) -> str:
    """Write a value as TOML does, with passwords masked."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return str(value)
    if isinstance(value, BaseModel):
        value = {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {value_text(inner)}' for key, inner in value.items())} }}"
    if isinstance(value, timedelta):
        value = format_duration(value)
    return json.dumps("" if value is None else mask_password(str(value)), ensure_ascii=False)


def _leaves(path: KeyPath, value: object) -> Iterator[tuple[KeyPath, object]]:
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _leaves((*path, name), getattr(value, name))
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            yield from _leaves((*path, name), entry)
    else:
        yield path, value
