"""`lessons`, and what `show` and `doctor` say of them."""

import os
from typing import Any

import pytest
from sqlalchemy import text

from dispatch.models.identity import BeadKey, ProjectId
from dispatch.models.lesson import LessonId


@pytest.fixture
def three(cli: Any, project: Any) -> list[int]:
    """Given three lessons; their ids."""
    return [
        cli("lessons", "add", title, "--detail", detail, "--category", category, "--json").json["id"]
        for title, detail, category in (
            ("Start the services before the tests", "Run `make services`.", "tests"),
            ("The proxy ends uploads after 60 s", "Send large files in parts.", "network"),
            ("Colours come from theme.css", "", "style"),
        )
    ]


def test_lessons_are_listed_the_newest_first(cli: Any, three: list[int]) -> None:
    listed = cli("lessons", "list", "--json").json
    assert [one["id"] for one in listed] == three[::-1]
    assert listed[1]["detail"] == "Send large files in parts."
    assert set(listed[0]) >= {"project", "category", "title", "bead", "agent", "run", "confirmed_at", "forgotten_at"}
    lines = cli("lessons", "list", "--limit", "2").out.splitlines()
    assert [line.split("\t")[3] for line in lines] == [
        "Colours come from theme.css",
        "The proxy ends uploads after 60 s",
    ]


def test_a_search_tells_what_its_scores_are_made_of(cli: Any, three: list[int]) -> None:
    best, *_ = cli("lessons", "search", "uploading fails behind the proxy", "--json").json
    assert best["id"] == three[1]
    assert 0 < best["score"] <= 1
    assert best["words"] > 0
    assert 0 < best["likeness"] <= 1
    assert 0 < best["freshness"] <= 1
    assert best["age_seconds"] >= 0
    first = cli("lessons", "search", "uploading fails behind the proxy", "--limit", "1").out.splitlines()
    assert len(first) == 1
    assert "words " in first[0]
    assert "likeness " in first[0]
    assert "age " in first[0]


def test_a_forgotten_lesson_is_kept_out_until_it_is_added_again(cli: Any, three: list[int]) -> None:
    first, again = (cli("lessons", "forget", str(three[0]), "--json") for _ in range(2))
    assert (first.json["changed"], again.json["changed"], again.code) == (True, False, 0)
    assert three[0] not in [one["id"] for one in cli("lessons", "list", "--json").json]
    assert "(forgotten)" in cli("lessons", "list", "--all").out
    back = cli(
        "lessons", "add", "Start the services before the tests", "-d", "Run `make services`.", "-c", "tests", "--json"
    )
    assert (back.json["id"], back.json["forgotten_at"]) == (three[0], None)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("forget", "4711"), 3, "There is no lesson '4711'. `dispatch lessons list` shows the ids."),
        (("forget", "0"), 6, "0 cannot be an id"),
        (("forget", str(2**70)), 6, "cannot be an id"),
        (("forget", "one"), 2, "should be a valid integer"),
        (("add", "  "), 6, "a lesson: it says nothing. Give it a title, and a detail."),
        (("add", "x", "--bead", "nowhere-1"), 3, "nowhere-1"),
        (("list", "--project", "nowhere"), 3, "There is no project 'nowhere'"),
        (("search", "x", "--limit", "0"), 2, "--limit"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_cure(
    cli: Any, project: Any, arguments: tuple[str, ...], code: int, said: str
) -> None:
    refused = cli("lessons", *arguments)
    assert refused.code == code
    assert said in " ".join(refused.err.split())


def test_where_nothing_was_learned_that_is_said(cli: Any, project: Any) -> None:
    for command in (("list",), ("search", "x")):
        assert cli("lessons", *command).err.strip() == "Nothing was learned yet."
        assert cli("lessons", *command, "--json").json == []


def test_a_lesson_may_name_its_bead(cli: Any, project: Any) -> None:
    assert cli("add", "Upload", "--id", "shop-1").code == 0
    assert cli("lessons", "add", "Try again", "--bead", "shop/shop-1", "--json").json["bead"] == "shop-1"


def test_show_tells_which_lessons_a_run_was_given(cli: Any, store: Any, claimed: Any, three: list[int]) -> None:
    assert cli("add", "Upload", "--id", "shop-1").code == 0
    store.lessons.note_told(claimed("shop-1"), [LessonId(three[1])])
    (run,) = cli("show", "shop-1", "--json").json["runs"]
    assert run["lessons"] == [{"id": three[1], "title": "The proxy ends uploads after 60 s"}]
    assert f"was told lesson {three[1]}: The proxy ends uploads" in cli("show", "shop-1").out
    assert BeadKey(ProjectId("shop"), "shop-1") == store.reading.resolve("shop-1")


def test_doctor_says_by_what_lessons_are_found(cli: Any, store: Any, project: Any) -> None:
    assert "lessons: found by words and by vectors (hashing)" in cli("doctor").out
    with store.units.begin() as tx:
        tx.connection.execute(text("DROP TABLE lesson_vectors"))
    (finding,) = (one for one in cli("doctor", "--json").json if one["part"] == "lessons")
    assert finding["health"] == "warning"
    assert "dispatch db upgrade" in finding["cure"]
    assert cli("db", "upgrade").out.startswith("The database was upgraded.")
    assert store.lessons.has_vectors()


def test_doctor_names_a_key_that_is_not_set(cli: Any, project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lessons = {
        "EMBEDDER": "openai",
        "BASE_URL": "http://127.0.0.1:9/v1",
        "MODEL": "small",
        "API_KEY_ENV": "NO_SUCH_KEY",
    }
    for name, value in lessons.items():
        monkeypatch.setitem(os.environ, f"DISPATCH_LESSONS__{name}", value)
    (finding,) = (one for one in cli("doctor", "--json").json if one["part"] == "lessons")
    assert "NO_SUCH_KEY is not set" in finding["found"]
