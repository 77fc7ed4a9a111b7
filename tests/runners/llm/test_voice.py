"""What is said never holds the key, in whatever form it comes."""

import io
import json

import pytest

from workers.runners.llm.voice import HIDDEN, QuietStream, Secret, Voice

KEY = 'sk-pl"anted/+=1234'


@pytest.mark.parametrize("form", [KEY, "sk-pl%22anted%2F%2B%3D1234", json.dumps(KEY)[1:-1]])
def test_the_key_is_hidden_in_events_of_any_depth(form: str) -> None:
    out = io.StringIO()
    Voice(Secret(KEY), out).say("action", action_data={"a": [{"b": f"<{form}>"}], form: 1}, result=form)
    told = json.loads(out.getvalue())
    assert told == {"type": "action", "action_data": {"a": [{"b": f"<{HIDDEN}>"}], HIDDEN: 1}, "result": HIDDEN}


def test_no_key_and_a_key_that_is_a_word_hide_nothing() -> None:
    assert Secret("").hidden_in("none at all") == "none at all"
    assert Secret("none").hidden_in("none at all") == "none at all"


def test_a_stream_hides_it_also_where_it_comes_in_pieces() -> None:
    out = io.StringIO()
    stream = QuietStream(out, Secret(KEY))
    stream.write(f"one {KEY[:5]}")
    stream.write(f"{KEY[5:]} two\nrest {KEY}")
    stream.flush()
    assert out.getvalue() == f"one {HIDDEN} two\n"
    stream.finish()
    assert out.getvalue() == f"one {HIDDEN} two\nrest {HIDDEN}"
