"""The configuration shown in docs/models.md loads as it stands there."""

import re
from pathlib import Path

from dispatch.settings import load_settings

PAGE = (Path(__file__).parents[2] / "docs/models.md").read_text()


def test_the_blocks_of_the_page_load_together(tmp_path: Path) -> None:
    config = tmp_path / "dispatch.toml"
    config.write_text("\n".join(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)))
    settings = load_settings(config=config, environ={}, cwd=tmp_path)
    assert settings.role_providers("backend-engineer") == ("small", "large")
    shown, default = settings.runners["model"], load_settings(environ={}, cwd=tmp_path / "home").guards
    assert (shown.max_iterations, shown.request_retries) == (25, 4)
    assert settings.guards == default, "the page shows the defaults"
