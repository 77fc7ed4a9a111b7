"""Reading the configuration, once, at the start of a process."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError
from pydantic_settings import InitSettingsSource

from dispatch.settings.checks import contradictions
from dispatch.settings.discovery import HOME_VARIABLE, absolute, default_home, find_config
from dispatch.settings.model import Settings
from dispatch.settings.problems import configuration_error, contradiction_error
from dispatch.settings.sources import Layer, environment_layer, file_layer, flag_layer
from dispatch.settings.toml_lines import KeyPath

_NO_FLAGS: Mapping[str, Any] = MappingProxyType({})


def load_settings(
    *,
    home: Path | None = None,
    config: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    cwd: Path | None = None,
    flags: Mapping[str, Any] = _NO_FLAGS,
) -> Settings:
    """Find and read the configuration: dispatch.toml < environment < flags.

    `flags` has keys as the file has, sections joined by points: `{"dispatch.lease": "30s"}`; None means not given.
    Raises ConfigurationError, which names the line, the variable or the flag, and the cure.
    """
    cwd = (cwd or Path.cwd()).resolve()
    flags = {**flags, "home": home or flags.get("home")}
    explicit_home = flags["home"] or environ.get(HOME_VARIABLE)
    config_file = find_config(config, absolute(explicit_home, cwd) if explicit_home else None, environ, cwd)

    from_file = file_layer(config_file, cwd)
    from_environment = environment_layer(environ, from_file.data, cwd)
    from_flags = flag_layer(flags, cwd)
    places = from_file.places | from_environment.places | from_flags.places

    by_default = Layer({"home": default_home(cwd)})
    settings = _validated((from_flags, from_environment, from_file, by_default), places)
    for finding in contradictions(settings):
        raise contradiction_error(finding, places)
    return settings.read_from(config_file, places)


def _validated(layers: tuple[Layer, ...], places: Mapping[KeyPath, str]) -> Settings:
    """Merge the layers, the first one strongest, and validate the whole."""
    sources = tuple(InitSettingsSource(Settings, layer.data) for layer in layers)
    try:
        # pydantic-settings' own argument for ready sources; type checkers see only the fields.
        return Settings(_build_sources=(sources, {}))  # type: ignore[call-arg]
    except ValidationError as refused:
        raise configuration_error(refused, places) from refused
