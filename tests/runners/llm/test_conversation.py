"""A conversation from the first request to its result, with a model that plays a script over HTTP."""

import time
from typing import Any

import pytest

from dispatch.loops import result_fingerprint
from dispatch.models.provider import ProviderTrouble
from tests.model_server import Answer, Asked, call, finish, refusal

KEY = "sk-planted-2b7e151628aed2a6"
BOTH = pytest.mark.parametrize("kind", ["openai", "anthropic"])


@BOTH
def test_it_reads_writes_tries_and_finishes(talk: Any, kind: str) -> None:
    """Every tool once: the model is told what came out, and dispatch of each action and of what it cost."""
    talk.test_command = ("sh", "-c", "grep -c bye a/b.txt")
    result = talk.run(
        call("list_files"),
        call("write_file", path="a/b.txt", content="hello\nhello there\n"),
        call("read_file", path="a/b.txt", offset=2),
        call("search", pattern=r"hel+o\s\w", directory="a"),
        call("edit_file", path="a/b.txt", old="hello there", new="bye"),
        call("run_command", command="cat b.txt || cat a/b.txt; exit 3"),
        call("run_command", command=["printf", "%s-", "a b", "c"]),
        call("run_tests"),
        call("file_bead", title="Mend c", description="It is broken.", issue_type="bug"),
        call("record_lesson", title="b is in a", detail="Look there first."),
        Answer(text="I am done, I think.", tokens=(1000, 100)),
        finish("Said bye."),
        kind=kind,
        usd_per_mtok=[1, 10],
    )
    assert result == {"outcome": "completed", "summary": "Said bye.", "nothing_to_do": False, "verdict": ""}
    assert (talk.workspace / "a/b.txt").read_text() == "hello\nbye\n"
    assert talk.results[:10] == [
        "Error: there are no files in ..",
        "Wrote a/b.txt, 18 characters.",
        "hello there\n",
        "a/b.txt:2:hello there",
        "Edited a/b.txt.",
        "[exit code 3]\ncat: b.txt: No such file or directory\nhello\nbye\n",
        "[exit code 0]\na b-c-",
        "[exit code 0]\n1\n",
        "It is noted.",
        "It is noted.",
    ]
    actions = [(event["action_type"], event["action_data"]) for event in talk.events("action")]
    assert actions == [
        ("list", {"path": "."}),
        ("write", {"path": "a/b.txt"}),
        ("read", {"path": "a/b.txt", "offset": 2}),
        ("search", {"pattern": r"hel+o\s\w", "directory": "a"}),
        ("edit", {"path": "a/b.txt"}),
        ("command", {"command": "cat b.txt || cat a/b.txt; exit 3"}),
        ("command", {"command": "printf %s- 'a b' c"}),
        ("test", {"command": "sh -c 'grep -c bye a/b.txt'"}),
        ("file_bead", {"title": "Mend c"}),
        ("record_lesson", {"title": "b is in a"}),
    ]
    made = result_fingerprint("hello\nbye\n")
    assert talk.events("action")[4]["result_hash"] == made, "an edit is told from another by what it made"
    (bead,), (lesson,) = talk.events("bead"), talk.events("lesson")
    assert (bead["title"], bead["issue_type"], bead["priority"]) == ("Mend c", "bug", 2)
    assert (lesson["title"], lesson["category"]) == ("b is in a", "general")
    usage = talk.events("usage")
    assert [event["tokens_in"] for event in usage] == [*[100] * 10, 1000, 100]
    assert sum(event["usd"] for event in usage) == pytest.approx((2100 * 1 + 210 * 10) / 1e6)
    assert {"type": "message", "role": "assistant", "text": "I am done, I think."} in talk.events("message")
    assert KEY in talk.server.chats[0].headers["authorization"]


@BOTH
def test_what_came_from_a_cache_costs_what_that_costs(talk: Any, kind: str) -> None:
    last = Answer(calls=[("finish", {"summary": "Done."})], tokens=(1000, 10), cached=900)
    talk.run(last, kind=kind, usd_per_mtok=[10, 100], cached_usd_per_mtok=1)
    (usage,) = talk.events("usage")
    assert (usage["tokens_in"], usage["usd"]) == (1000, pytest.approx((100 * 10 + 900 * 1 + 10 * 100) / 1e6))


@BOTH
def test_a_question_goes_to_a_human(talk: Any, kind: str) -> None:
    result = talk.run(call("ask_human", question="Red or blue?"), kind=kind)
    assert result == {"outcome": "needs_input", "question": "Red or blue?"}


def test_calls_that_come_together_are_done_one_after_the_other_and_before_the_end(talk: Any) -> None:
    together = [
        ("write_file", {"path": "a.txt", "content": "one"}),
        ("run_command", {"command": "sleep 0.2; cat a.txt > b.txt"}),
        ("edit_file", {"path": "a.txt", "old": "one", "new": "two"}),
        ("finish", {"summary": "Done."}),
    ]
    assert talk.run(Answer(calls=together))["outcome"] == "completed"
    assert [(talk.workspace / name).read_text() for name in ("a.txt", "b.txt")] == ["two", "one"]
    assert len(talk.server.chats) == 1


def test_a_reviewer_says_its_verdict(talk: Any) -> None:
    result = talk.run(finish("No test.", verdict="rejected"))
    assert (result["outcome"], result["verdict"]) == ("completed", "rejected")


@BOTH
def test_it_waits_as_long_as_a_busy_endpoint_asks_and_tries_a_broken_one_again(talk: Any, kind: str) -> None:
    began = time.monotonic()
    result = talk.run(refusal(429, Retry_After="1"), refusal(503, retry_after_ms="1"), finish(), kind=kind)
    assert result["outcome"] == "completed"
    assert time.monotonic() - began >= 1.0
    told = [event["message"] for event in talk.events("progress")]
    assert told == ["main answers with status 429.", "main answers with status 503."]


@BOTH
@pytest.mark.parametrize(
    ("status", "trouble", "requests"),
    [
        (401, ProviderTrouble.KEY_REFUSED, 1),
        (402, ProviderTrouble.KEY_REFUSED, 1),
        (403, ProviderTrouble.KEY_REFUSED, 1),
        (404, ProviderTrouble.UNKNOWN_MODEL, 1),
        (429, ProviderTrouble.BUSY, 3),
        (500, ProviderTrouble.BROKEN, 3),
        (529, ProviderTrouble.BROKEN, 3),
        (400, "model request refused", 1),
    ],
)
def test_what_an_endpoint_refuses_with_is_the_cause_and_the_key_is_not_told(
    talk: Any, kind: str, status: int, trouble: str, requests: int
) -> None:
    body = f'{{"type": "error", "error": {{"type": "x", "message": "Bad: Bearer {KEY}"}}}}'
    result = talk.run(refusal(status, body, retry_after_ms="1"), kind=kind)
    assert (result["outcome"], result["cause"]) == ("failed", trouble)
    assert len(talk.server.chats) == requests
    assert "Bad: Bearer [key]" in result["summary"]
    assert KEY not in str(result)
    assert KEY not in talk.said.getvalue()


def test_a_page_instead_of_an_answer_is_cut_and_no_part_of_the_key_is_left(talk: Any) -> None:
    page = f"{'x' * 520}{KEY}{'y' * 5000}"
    result = talk.run(refusal(502, page), limits={"request_retries": 0})
    assert (result["cause"], len(result["summary"]) < 700) == (ProviderTrouble.BROKEN, True)
    assert "xxx[key]y" in result["summary"], "the cut comes after the key was hidden"
    assert KEY[:8] not in result["summary"]


def test_an_endpoint_that_is_not_there_is_the_cause(talk: Any) -> None:
    result = talk.run(base_url="http://127.0.0.1:9/v1", limits={"request_retries": 0})
    assert (result["outcome"], result["cause"]) == ("failed", ProviderTrouble.UNREACHABLE)
    assert result["summary"].startswith("main: it does not answer (")


def test_a_redirect_is_not_followed_with_the_key(talk: Any) -> None:
    elsewhere = f"{talk.server.base_url}/elsewhere"
    result = talk.run(refusal(307, "{}", Location=elsewhere), limits={"request_retries": 0})
    assert result["outcome"] == "failed"
    assert [asked.path for asked in talk.server.chats] == ["/v1/chat/completions"]


def test_iterations_are_counted_and_the_last_ones_announced(talk: Any) -> None:
    result = talk.run(call("list_files"), limits={"max_iterations": 5})
    assert (result["outcome"], result["cause"]) == ("failed", "limit of the run")
    assert len(talk.server.chats) == 5
    announced = ["one of your last" in str(asked.body["messages"]) for asked in talk.server.chats]
    assert announced == [False, False, True, True, True]


def test_tokens_are_counted(talk: Any) -> None:
    result = talk.run(Answer(calls=[("list_files", {})], tokens=(400, 20)), limits={"max_tokens": 1000})
    assert (result["outcome"], result["cause"]) == ("failed", "limit of the run")
    assert len(talk.server.chats) == 3


def test_a_model_that_only_talks_is_told_to_finish_and_given_up(talk: Any) -> None:
    result = talk.run(Answer(text="Well."))
    assert (result["outcome"], result["cause"]) == ("failed", "model misbehaves")
    assert len(talk.server.chats) < 10


def test_arguments_that_do_not_fit_are_told_to_the_model(talk: Any) -> None:
    result = talk.run(call("read_file", path=3, offset=0), call("no_such_tool"), finish())
    assert result["outcome"] == "completed"
    assert talk.events("action") == []


def test_a_long_conversation_is_shortened_where_it_is_old(talk: Any) -> None:
    (talk.workspace / "long.txt").write_text("".join(f"line {number}\n" for number in range(5000)))

    def sizes(asked: Asked) -> Answer:
        seen.append(len(str(asked.body["messages"])))
        return call("read_file", path="long.txt", offset=1)

    seen: list[int] = []
    result = talk.run(*[sizes] * 8, finish(), context_tokens=30_000)
    assert result["outcome"] == "completed"
    assert max(seen) < 130_000
    assert "were left out here later" in talk.results[0]
    assert talk.results[-1].startswith("line 0\n")
    assert len(talk.results[-1]) > 20_000, "what it asked for last it sees whole"
