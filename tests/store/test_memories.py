"""What is remembered about a project: told newest first, and never lost or doubled between us and a tracker's file."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatch.context import MEMORY_ROOM
from dispatch.errors import BadInputError, NotFoundError
from dispatch.exchange import export_project, export_to, import_file, unimported
from dispatch.models.identity import ProjectId

SHOP = ProjectId("shop")
MONEY = {"_type": "memory", "key": "money", "value": "Dollars.", "by": "ann", "n": 1.0}


@pytest.fixture
def memory(scene: Any) -> Any:
    """Given what the project `shop` remembers: nothing."""
    return scene.store.memory


@pytest.fixture
def imported(scene: Any, tmp_path: Path) -> Any:
    """Given a function that imports a file of these lines and returns how many memories were news."""

    def take(*lines: dict[str, Any] | str) -> int:
        path = tmp_path / "issues.jsonl"
        path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
        return import_file(scene.store, SHOP, path).report.memories

    return take


def values(scene: Any) -> dict[str, Any]:
    return {memory.key: memory.value for memory in scene.store.memory.recall(SHOP)}


def exported(scene: Any) -> list[Any]:
    return [json.loads(line) for line in export_project(scene.store, SHOP)]


class TestRemembering:
    def test_a_fact_is_there_and_is_exported_as_the_tracker_writes_it(self, scene: Any, memory: Any) -> None:
        made = memory.remember(SHOP, "money", "In cents.")
        assert (made.key, made.value, made.changed_at) == ("money", "In cents.", scene.clock.at)
        assert memory.recall(SHOP) == [made]
        assert exported(scene) == [{"_type": "memory", "key": "money", "value": "In cents."}]

    def test_the_newest_is_first_and_a_changed_one_is_new(self, scene: Any, memory: Any) -> None:
        for key in ("a", "b", "c"):
            memory.remember(SHOP, key, key)
            scene.clock.advance(timedelta(minutes=1))
        memory.remember(SHOP, "a", "other")
        memory.remember(SHOP, "b", "b")
        assert [one.key for one in memory.recall(SHOP)] == ["a", "c", "b"]

    @pytest.mark.parametrize(
        "value", ["", "\0 and \ud800", "x" * 258_000, 7, 1.0, True, None, ["a", {"b": None}], {"c": "\0"}, 10**30]
    )
    def test_any_json_comes_back_equal(self, scene: Any, memory: Any, value: Any) -> None:
        memory.remember(SHOP, "k" * 200, value)
        (found,) = memory.recall(SHOP)
        assert json.dumps(found.value) == json.dumps(value)
        assert json.dumps(exported(scene)[0]["value"]) == json.dumps(value)
        assert len(memory.for_prompt(SHOP)) <= MEMORY_ROOM

    @pytest.mark.parametrize("key", ["", " a", "a\nb", "a\0", "\ud800", "k" * 256])
    def test_a_key_that_nobody_could_type_is_refused(self, memory: Any, key: str) -> None:
        with pytest.raises(BadInputError, match="the key"):
            memory.remember(SHOP, key, "x")

    @pytest.mark.parametrize(("value", "fault"), [(float("nan"), "JSON"), (object(), "JSON"), ("x" * 10**6, "1000002")])
    def test_a_value_that_no_file_holds_is_refused(self, memory: Any, value: Any, fault: str) -> None:
        with pytest.raises(BadInputError, match=fault):
            memory.remember(SHOP, "a", value)

    def test_an_unknown_project_remembers_nothing(self, memory: Any) -> None:
        nowhere = ProjectId("nowhere")
        for ask in (
            lambda: memory.remember(nowhere, "a", "b"),
            lambda: memory.recall(nowhere),
            lambda: memory.forget(nowhere, "a"),
            lambda: memory.for_prompt(nowhere),
        ):
            with pytest.raises(NotFoundError, match="nowhere"):
                ask()

    def test_of_many_at_once_one_stays_and_none_fails(self, memory: Any, at_once: Any) -> None:
        kept = at_once([lambda n=n: memory.remember(SHOP, "a", n) for n in range(8)])
        (found,) = memory.recall(SHOP)
        assert found.value in {one.value for one in kept}


class TestRecalling:
    def test_most_words_come_first_then_the_key(self, scene: Any, memory: Any) -> None:
        facts = {"rounding": "Half even.", "money": "In CENTS.", "cents": "Small coins.", "style": ["tabs"]}
        for key, value in facts.items():
            memory.remember(SHOP, key, value)
        found = [one.key for one in memory.recall(SHOP, "Cents money")]
        assert found == ["money", "cents"]
        assert [one.key for one in memory.recall(SHOP, "TAB")] == ["style"]
        assert memory.recall(SHOP, "nothing") == memory.recall(SHOP, "  ") == []


class TestForgetting:
    def test_it_is_told_and_exported_no_more(self, scene: Any, memory: Any) -> None:
        memory.remember(SHOP, "a", "x")
        memory.forget(SHOP, "a")
        assert (memory.recall(SHOP), memory.for_prompt(SHOP), exported(scene)) == ([], "", [])
        with pytest.raises(NotFoundError, match="memory 'a'"):
            memory.forget(SHOP, "a")
        assert memory.remember(SHOP, "a", "x").value == "x"
        assert values(scene) == {"a": "x"}

    def test_the_file_it_came_from_does_not_bring_it_back(self, scene: Any, memory: Any, imported: Any) -> None:
        imported(MONEY)
        memory.forget(SHOP, "money")
        assert imported(MONEY) == 0
        assert values(scene) == {}

    def test_nor_does_our_own_export_of_before(self, scene: Any, memory: Any, imported: Any) -> None:
        imported(MONEY)
        memory.remember(SHOP, "money", "Cents.")
        ours = exported(scene)
        memory.forget(SHOP, "money")
        assert imported(*ours) == 0
        assert values(scene) == {}

    def test_something_new_under_its_key_does(self, scene: Any, memory: Any, imported: Any) -> None:
        imported(MONEY)
        memory.forget(SHOP, "money")
        assert imported({**MONEY, "value": "Euros."}) == 1
        assert values(scene) == {"money": "Euros."}

    def test_an_export_over_the_file_drops_it(self, scene: Any, memory: Any, imported: Any, tmp_path: Path) -> None:
        imported(MONEY, {**MONEY, "key": "other"})
        memory.forget(SHOP, "money")
        path = tmp_path / "issues.jsonl"
        assert unimported(scene.store, SHOP, path) == []
        assert export_to(scene.store, SHOP, path) == 1
        assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["other"]


class TestExchanging:
    def test_what_came_in_goes_out_letter_for_letter(self, scene: Any, imported: Any) -> None:
        line = '{"key":"a",  "_type": "memory", "value": [1.0, "\\u0000\\ud800", 1e2], "more": {"b":1}}'
        assert imported(line) == 1
        assert list(export_project(scene.store, SHOP)) == [line]

    def test_our_value_goes_out_among_the_tracker_s_fields(self, scene: Any, memory: Any, imported: Any) -> None:
        imported(MONEY)
        memory.remember(SHOP, "money", ["Cents."])
        assert exported(scene) == [{**MONEY, "value": ["Cents."]}]

    def test_the_same_file_again_changes_nothing_of_ours(self, scene: Any, memory: Any, imported: Any) -> None:
        assert imported(MONEY) == 1
        memory.remember(SHOP, "money", "Cents.")
        assert imported(MONEY) == imported(json.dumps(MONEY, indent=None, sort_keys=True)) == 0
        assert values(scene) == {"money": "Cents."}

    def test_neither_does_the_old_file_after_ours_went_out_and_came_in(
        self, scene: Any, memory: Any, imported: Any
    ) -> None:
        imported(MONEY)
        memory.remember(SHOP, "money", "Cents.")
        assert imported(*exported(scene)) == 0
        assert imported(MONEY) == 0
        assert values(scene) == {"money": "Cents."}

    @pytest.mark.parametrize("news", ["Euros.", 1, True])
    def test_news_of_the_tracker_win(self, scene: Any, memory: Any, imported: Any, news: Any) -> None:
        imported({**MONEY, "value": 1.0})
        memory.remember(SHOP, "money", "Cents.")
        assert imported({**MONEY, "value": news}) == 1
        assert exported(scene) == [{**MONEY, "value": news}]

    def test_an_export_over_a_file_with_news_is_told_what_it_would_lose(
        self, scene: Any, memory: Any, imported: Any, tmp_path: Path
    ) -> None:
        imported(MONEY)
        memory.remember(SHOP, "money", "Cents.")
        path = tmp_path / "issues.jsonl"
        assert unimported(scene.store, SHOP, path) == []
        path.write_text(json.dumps({**MONEY, "value": "Euros."}) + "\n")
        assert unimported(scene.store, SHOP, path) == ["money"]


class TestPrompt:
    def test_it_is_short_newest_first_and_says_what_is_left_out(self, scene: Any, memory: Any) -> None:
        for number in range(30):
            memory.remember(SHOP, f"k{number}", f"v{number} " * 60)
            scene.clock.advance(timedelta(minutes=1))
        told = memory.for_prompt(SHOP)
        assert told.startswith("- **k29**: v29 v29")
        assert len(told) <= MEMORY_ROOM
        shown = told.count("- **k")
        assert told.endswith(f"({30 - shown} older memories left out.)")

    def test_what_is_not_even_read_is_counted(self, scene: Any, memory: Any) -> None:
        for number in range(4):
            memory.remember(SHOP, f"k{number}", "x" * 15_000)
            scene.clock.advance(timedelta(minutes=1))
        told = memory.for_prompt(SHOP)
        assert "**k3**" in told
        assert "**k2**" in told
        assert told.endswith("(2 older memories are not shown here.)")

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(facts=st.dictionaries(st.text("ab`# *", min_size=1).map(lambda key: f"k{key}e"), st.text("a`\n#\0 ")))
    def test_it_keeps_to_its_room(self, memory: Any, facts: dict[str, str]) -> None:
        for key, value in facts.items():
            memory.remember(SHOP, key, value * 40)
        assert len(memory.for_prompt(SHOP)) <= MEMORY_ROOM


def test_a_run_is_told_what_its_project_remembers(scene: Any, memory: Any) -> None:
    worker = scene.worker(agents=2)
    assert scene.start(scene.claimed(scene.bead("shop-1")), worker).memories.total == 0
    memory.remember(SHOP, "money", "In cents.")
    told = scene.start(scene.claimed(scene.bead("shop-2")), worker).memories
    assert ([one.value for one in told.newest], told.total) == (["In cents."], 1)
