"""What a runner's table says: presets, silence, prices."""

from datetime import timedelta
from decimal import Decimal

import pytest

from dispatch.errors import ConfigurationError
from dispatch.settings import RunnerKind


def test_a_preset_alone_is_a_command_runner_of_its_program(read):
    runner = read('[runners.mine]\npreset = "codex"').runners["mine"]

    assert (runner.kind, runner.command_line) == (RunnerKind.COMMAND, ("codex",))
    assert runner.silence_limit == timedelta(minutes=5)
    assert runner.usd_per_mtok is None


def test_argv_names_another_program_and_options_of_a_preset(read):
    text = '[runners.mine]\npreset = "claude"\nargv = ["/opt/claude", "--model", "opus"]\nusd_per_mtok = [1.25, 10]'
    runner = read(text).runners["mine"]

    assert runner.command_line == ("/opt/claude", "--model", "opus")
    assert runner.usd_per_mtok == (Decimal("1.25"), Decimal(10))


@pytest.mark.parametrize(("written", "seconds"), [("90s", 90.0), ("never", float("inf"))])
def test_the_silence_limit_is_a_time_or_never(read, written, seconds):
    runner = read(f'[runners.mine]\nkind = "command"\nargv = ["x"]\nsilence_limit = "{written}"').runners["mine"]

    assert runner.silence_seconds == seconds


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('preset = "codec"', "dispatch.toml:2: .*codex.*claude.*opencode.*any"),
        ("usd_per_mtok = 3", r"dispatch.toml:2: .*is not a pair of prices. Write dollars for a million tokens"),
        ("usd_per_mtok = [1, -2]", "dispatch.toml:2"),
        ('silence_limit = "soon"', "dispatch.toml:2: .*is not a duration"),
    ],
)
def test_a_wrong_value_is_an_error_at_its_line(read, line, message):
    with pytest.raises(ConfigurationError, match=message):
        read(f'[runners.mine]\n{line}\nargv = ["x"]\nkind = "command"')
