"""Results as text: safe for a terminal, one line a row in a pipe, JSON with plain values."""

import json
import uuid
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from dispatch.cli import output
from dispatch.models.bead import Dependency
from dispatch.models.outcome import Failed
from dispatch.models.states import RunState


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\r\x9b\u202e", "\\r\\x9b\\u202e"),
        ("é 漢 \U0001f600", "é 漢 \U0001f600"),
    ],
)
def test_control_characters_never_reach_the_terminal(text, shown):
    assert output.visible(text) == shown


def test_a_cell_is_one_line_without_tabs():
    assert output.cell("a\n\tb\x1b[1m\x7f") == "a b [1m\\x7f"
    assert output.cell(("x", None, 2)) == "x, , 2"
    assert output.cell(datetime(2026, 9, 25, 14, tzinfo=timezone(timedelta(hours=2)))) == "2026-09-25 12:00:00Z"
    assert output.moment(None) == "-"


def test_json_has_only_plain_values(capsys):
    number = uuid.UUID(int=7)
    output.write_json(
        {
            "at": datetime(2026, 9, 25, 14, tzinfo=timezone(timedelta(hours=2))),
            "long": timedelta(minutes=1),
            "id": number,
            "path": Path("/x"),
            "state": RunState.PENDING,
            "edge": Dependency(issue_id="a", depends_on_id="b"),
            "outcome": Failed(cause="no_change"),
            "list": (1, 2.5, True, None),
            "text": "é\n",
        }
    )
    assert json.loads(capsys.readouterr().out) == {
        "at": "2026-09-25T12:00:00Z",
        "long": 60.0,
        "id": str(number),
        "path": "/x",
        "state": "pending",
        "edge": {"issue_id": "a", "depends_on_id": "b", "type": "blocks", "metadata": ""},
        "outcome": {"kind": "failed", "cause": "no_change", "summary": "", "output": ""},
        "list": [1, 2.5, True, None],
        "text": "é\n",
    }


def test_a_pipe_gets_a_line_a_row(capsys):
    output.write_table(("a", "b"), [(1, "x\ty"), (datetime(2026, 1, 1, tzinfo=UTC), None)], empty="none")
    assert capsys.readouterr().out == "1\tx y\n2026-01-01 00:00:00Z\t\n"


def test_a_terminal_gets_a_table_with_headings(capsys, monkeypatch):
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    output.write_table(("number", "name"), [(1, "[bold]x")], empty="none")
    shown = capsys.readouterr().out
    assert "number" in shown
    assert "[bold]x" in shown


def test_no_rows_are_a_remark_and_no_result(capsys):
    output.write_table(("a",), [], empty="There is nothing.")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "There is nothing.\n")
