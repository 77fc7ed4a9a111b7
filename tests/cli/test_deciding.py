"""`inbox` and `decide`, and closing a decision by hand."""

import getpass
import json
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import text

from dispatch.escalation import asked, asked_by_workflow, settle_broken, worn_out
from dispatch.models.bead import Bead
from dispatch.models.decision import Decision, Option
from dispatch.models.identity import BeadKey
from dispatch.models.progress import CommitRange
from dispatch.models.run import ErrorRecord
from dispatch.models.settling import Escalation
from dispatch.models.workflow import Execution, Node, NodeKind, Workflow

NOON = datetime(2026, 9, 25, 12, tzinfo=UTC)
RED = "failed: tests\ntests/test_basket.py::test_total FAILED\n\nAssertionError: 3 != 4\n1 failed, 41 passed"

Escalate = Callable[..., Decision]


@pytest.fixture
def escalate(cli: Any, store: Any, project: Any) -> Escalate:
    """Given a function that adds a bead and escalates it; the words of the escalation are those for it."""

    def make(
        bead_id: str, words: Callable[..., Escalation] = worn_out, *told: Any, options: Any = (), **fields: Any
    ) -> Decision:
        assert cli("add", f"Do {bead_id}", "--id", bead_id, *options).code == 0
        bead = store.reading.bead(BeadKey(project.id, bead_id))
        told = told or ((5, RED) if words is worn_out else ())
        escalation = replace(words(bead, *told), **fields)
        made: Decision = store.settling.escalate(bead.key, escalation)
        return made

    return make


@pytest.fixture
def wait(store: Any) -> Callable[[str, str], None]:
    """Given a function that makes a bead's decision as old as said."""

    def make_older(bead_id: str, by: str) -> None:
        with store.units.begin() as tx:
            statement = "UPDATE decisions SET opened_at = opened_at - CAST(:by AS interval) WHERE bead_id = :bead"
            tx.connection.execute(text(statement), {"by": by, "bead": bead_id})

    return make_older


def _errors(*texts: str) -> tuple[ErrorRecord, ...]:
    return tuple(ErrorRecord(timestamp=NOON, error=said, dispatch=number) for number, said in enumerate(texts, 1))


@pytest.fixture
def basket(escalate: Escalate, cli: Any, wait: Callable[[str, str], None]) -> Decision:
    """Given a decision that has waited for five hours, with everything that there can be to it."""
    made = escalate(
        "shop-a",
        options=("--priority", "1", "--role", "backend-engineer"),
        progress="Files read: 3, files modified: 1.",
        suggestions=("Name the files.", "Say how it is built.", "Say what is wanted."),
        commits=CommitRange("a" * 40, "b" * 40, 2),
        errors=_errors("failed: build", RED, RED),
    )
    for number in range(4):
        cli("add", f"Then {number}", "--id", f"shop-then-{number}", "--depends-on", "shop-a")
    wait("shop-a", "5 hours 12 minutes 30 seconds")
    return made


# The inbox


def test_an_empty_inbox_says_so(cli: Any, project: Any) -> None:
    said = cli("inbox")
    assert (said.code, said.out, said.err) == (0, "", "Nothing waits for a human.\n")
    assert cli("inbox", "--json").json == []


def test_a_decision_is_listed_with_all_that_it_takes(cli: Any, basket: Decision, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert (
        re.sub(r"\b5h1\dm", "5h12m", cli("inbox").out)
        == f"""\
1 decision waits for a human, 1 overdue. `dispatch inbox BEAD` shows one in full.

P1  shop/shop-a  Do shop-a
    5 runs in a row failed; 0 runs so far, for backend-engineer. It has waited
    5h12m: OVERDUE.
    last error  failed: tests (attempt 3)
                tests/test_basket.py::test_total FAILED
                AssertionError: 3 != 4
                ...
    done        Files read: 3, files modified: 1.
    commits     2 commits, aaaaaaaaaaaa to bbbbbbbbbbbb
    may help    Name the files.
                Say how it is built.
                ...
    waiting     shop-then-0 Then 0
                shop-then-1 Then 1
                shop-then-2 Then 2
                and 1 more
    recommended raise-limit: its errors change and it leaves commits: it gets on

  * dispatch decide shop/{basket.decision_id} raise-limit
    dispatch decide shop/{basket.decision_id} retry --advice 'your advice'
    dispatch decide shop/{basket.decision_id} reassign --role ROLE
    dispatch decide shop/{basket.decision_id} split --into 'part 1' --into 'part 2'
    dispatch decide shop/{basket.decision_id} close --reason 'why not'
"""
    )


def test_where_there_is_room_each_option_says_what_it_does(cli: Any, basket: Decision, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    lines = cli("inbox").out.splitlines()
    name = f"shop/{basket.decision_id}"
    longest = f"dispatch decide {name} split --into 'part 1' --into 'part 2'"
    assert f"  * {f'dispatch decide {name} raise-limit':<{len(longest)}}  # it goes on, its runs count anew" in lines
    assert f"    {longest}  # it waits for new beads" in lines
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_only_what_is_typed_is_wider_than_the_terminal(
    cli: Any, basket: Decision, escalate: Escalate, monkeypatch: Any, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    escalate("shop-q", asked, "Which of the two? " * 30)
    escalate("shop-u", settle_broken, "run-7", "IntegrityError: " + "x" * 300)
    for line in (*cli("inbox").out.splitlines()[2:], *cli("inbox", "shop-q").out.splitlines()):
        assert len(line) <= columns or "dispatch decide" in line, line


def test_one_is_shown_in_full_by_its_bead_or_by_itself(cli: Any, basket: Decision, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = cli("inbox", "shop-a")
    assert said.out == cli("inbox", f"shop/{basket.decision_id}").out
    assert said.out.startswith(f"Decision {basket.key}\nP1  shop/shop-a  Do shop-a\n")
    for part in ("1 failed, 41 passed", "attempt 2   the same\n", "attempt 1   failed: build\n", "Say what is wanted."):
        assert part in said.out
    assert "shop-then-3 Then 3" in said.out
    assert f"    dispatch decide {basket.key} close --reason 'why not'\n    # it is not done\n" in said.out


def test_the_most_urgent_comes_first(cli: Any, escalate: Escalate, wait: Any) -> None:
    escalate("shop-young")
    escalate("shop-old")
    escalate("shop-asks", asked, "Red or blue?", options=("--priority", "0"))
    wait("shop-old", "1 hour")
    assert [one["bead"] for one in cli("inbox", "--json").json] == ["shop-asks", "shop-old", "shop-young"]
    said = cli("inbox").out
    assert said.startswith("3 decisions wait for a human. `dispatch inbox BEAD` shows one in full.\n")
    assert "    asks        Red or blue?\n" in said
    assert re.search(r"It has waited (less than a minute|\dm)\.\n", said)
    assert re.search(r"It has waited 1h(\dm)?\.\n", said)


def test_json_has_everything_and_the_commands_as_they_are_typed(cli: Any, basket: Decision) -> None:
    (one,) = cli("inbox", "--project", "shop", "--json").json
    assert cli("inbox", "shop-a", "--json").json.keys() == one.keys()
    assert (one["decision"], one["project"], one["bead"]) == (basket.decision_id, "shop", "shop-a")
    assert (one["kind"], one["reason"], one["returned_to"]) == ("failed", "5 runs in a row failed", "backend-engineer")
    assert (one["overdue"], one["priority"], one["announcements"]) == (True, 1, 0)
    assert one["waiting_seconds"] >= 5 * 3600
    assert one["commits"] == {"first": "a" * 40, "last": "b" * 40, "count": 2}
    assert [error["attempt"] for error in one["errors"]] == [1, 2, 3]
    assert one["dependents"][0] == {"id": "shop-then-0", "title": "Then 0"}
    assert (one["recommended"], one["decided_at"], one["option"]) == ("raise-limit", None, None)
    for option in one["options"]:
        words = shlex.split(option["command"])
        assert words[:4] == ["dispatch", "decide", f"shop/{basket.decision_id}", option["option"]]


def test_a_project_that_is_not_there_is_not_found(cli: Any, project: Any) -> None:
    assert cli("inbox", "--project", "none").code == 3
    assert cli("inbox", "shop-9").code == 3


def test_titles_cannot_write_to_the_terminal(cli: Any, escalate: Escalate) -> None:
    escalate("shop-q", asked, "Which?\x1b[2J")
    assert "\x1b" not in cli("inbox").out + cli("inbox", "shop-q").out


def test_status_counts_what_waits(cli: Any, basket: Decision, escalate: Escalate) -> None:
    escalate("shop-b")
    assert "decisions that wait for a human: 2, overdue: 1 (`dispatch inbox`)\n" in cli("status").out
    assert cli("status", "--json").json["decisions"] == {"open": 2, "overdue": 1}
    cli("decide", "shop-a", "retry")
    cli("decide", "shop-b", "retry")
    assert "decisions" not in cli("status").out


def test_why_tells_where_it_can_be_decided(cli: Any, basket: Decision) -> None:
    about = "Decide about shop-a: 5 runs in a row failed"
    said = cli("why", "shop-a").out
    assert said.startswith(f"shop/shop-a: It waits for a human: {about} (`dispatch inbox {basket.decision_id}`).\n")


# Deciding


def approval(bead: Bead) -> Escalation:
    """What the workflow of a bead asks at an approval."""
    node = Node(name="look", kind=NodeKind.APPROVAL)
    workflow = Workflow(name="careful", start="look", nodes={"look": node})
    asks = asked_by_workflow(bead, Execution(workflow=workflow, node="look"), "")
    assert asks is not None
    return asks


def words_for(option: str) -> tuple[Any, ...]:
    """Return the words of an escalation that offers an option."""
    special = {"answer": (asked, "Red?"), "approve": (approval,), "reject": (approval,)}
    return special.get(option, (worn_out, 5, RED))


def test_every_command_that_is_shown_can_be_typed(cli: Any, escalate: Escalate) -> None:
    for number, option in enumerate(Option):
        if option is Option.MOOT:
            continue
        decision = escalate(f"shop-{number}", *words_for(option))
        (command,) = [
            one["command"]
            for one in cli("inbox", decision.decision_id, "--json").json["options"]
            if one["option"] == option
        ]
        said = cli(*shlex.split(command.replace("ROLE", "qa"))[1:])
        assert said.code == 0, said.err
        assert cli("inbox", decision.decision_id, "--json").json["option"] == option
    assert cli("inbox", "--json").json == []


PAGE = Path(__file__).parents[2] / "docs" / "decisions.md"
ON_THE_PAGE = re.findall(r"`(dispatch decide [^`]+)`", PAGE.read_text())


@pytest.mark.parametrize("command", ON_THE_PAGE)
def test_what_the_documentation_types_is_done(cli: Any, escalate: Escalate, command: str) -> None:
    escalate("shop-a1", *words_for(shlex.split(command)[3]))
    said = cli(*shlex.split(command)[1:])
    assert (said.code, cli("inbox", "--json").json) == (0, []), said.err


def test_the_documentation_types_every_option() -> None:
    assert {shlex.split(command)[3] for command in ON_THE_PAGE} == {*Option} - {Option.MOOT}


def test_the_bead_goes_on(cli: Any, basket: Decision) -> None:
    said = cli("decide", "shop-a", "retry", "--advice", "Use v2.")
    assert (said.code, said.err) == (0, "")
    assert said.out == f"Decided {basket.key}: retry. shop/shop-a goes on.\n"
    assert "shop-a" in [bead["id"] for bead in cli("ready", "--json").json]
    shown = cli("inbox", basket.decision_id)
    assert f"decided     by {getpass.getuser()} at " in shown.out
    assert "retry: Use v2.\n" in shown.out
    assert "dispatch decide" not in shown.out


def test_it_waits_on_for_what_else_blocks_it(cli: Any, escalate: Escalate) -> None:
    cli("add", "First", "--id", "shop-first")
    escalate("shop-a", options=("--depends-on", "shop-first"))
    said = cli("decide", "shop-a", "retry")
    assert said.out.endswith("shop/shop-a does not go yet: `dispatch why shop/shop-a`.\n")


def test_it_is_answered_by_json(cli: Any, escalate: Escalate) -> None:
    decision = escalate("shop-a", asked, "Red?")
    said = cli("decide", decision.decision_id, "answer", "--answer", "Blue.", "--json").json
    assert (said["decision"], said["bead"], said["option"]) == (decision.decision_id, "shop-a", "answer")
    assert (said["advice"], said["decided_by"], said["released"]) == ("Blue.", getpass.getuser(), ["shop-a"])


def test_it_is_reassigned_by_any_name_of_a_role(cli: Any, escalate: Escalate, enlist: Any) -> None:
    escalate("shop-a")
    escalate("shop-b")
    said = cli("decide", "shop-a", "reassign", "--role", "QA")
    assert said.err == "warning: No live worker serves the role qa-engineer now.\n"
    assert cli("show", "shop-a", "--json").json["role"] == "qa-engineer"
    enlist("role.typist", agents=1)
    assert cli("decide", "shop-b", "reassign", "--role", "Typist").err == ""
    assert cli("show", "shop-b", "--json").json["role"] == "typist"


def test_it_is_split_into_beads_that_know_where_they_came_from(cli: Any, escalate: Escalate) -> None:
    options = ("--priority", "1", "--type", "bug", "--role", "qa-engineer", "-d", "All of it.")
    decision = escalate("shop-a", options=options)
    into = ("--into", "The form", "--into", "The table", "--into", "The table")
    said = cli("decide", "shop-a", "split", *into, "--advice", "The form first.", "--json").json
    parts = [cli("show", part, "--json").json for part in said["into"]]
    assert [part["title"] for part in parts] == ["The form", "The table", "The table"]
    for part in parts:
        assert (part["priority"], part["type"], part["role"], part["blocked"]) == (1, "bug", "qa-engineer", False)
        assert part["description"] == "A part of shop-a: Do shop-a\n\nThe whole was described so:\n\nAll of it."
        assert [(edge["id"], edge["type"]) for edge in part["dependencies"]] == [("shop-a", "discovered-from")]
    whole = cli("show", "shop-a", "--json").json
    assert whole["blocked"]
    assert {edge["id"] for edge in whole["dependencies"]} == {decision.decision_id, *said["into"]}


def test_it_says_for_what_a_split_bead_waits(cli: Any, escalate: Escalate) -> None:
    escalate("shop-a")
    said = cli("decide", "shop-a", "split", "--into", "One", "--into", "Two").out
    assert cli("why", "shop-a").out.count("shop-") == 3
    assert " shop/shop-a waits for shop-" in said


def test_it_is_closed_and_what_waited_can_go(cli: Any, basket: Decision) -> None:
    said = cli("decide", basket.decision_id, "close", "--reason", "Not wanted.").out
    then = ", ".join(f"shop-then-{number}" for number in range(4))
    assert said == f"Decided {basket.key}: close. shop/shop-a is closed.\nNo longer blocked: {then}.\n"
    assert cli("show", "shop-a", "--json").json["close_reason"] == "Not wanted."


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["shop-a", "retri"], 2, 'Did you mean "retry"? The options of this decision are: retry, raise-limit,'),
        (["shop-a", "answer", "--advice", "x"], 2, 'It has no option "answer".'),
        (["shop-a", "split"], 2, "split needs --into."),
        (["shop-a", "retry", "--role", "qa"], 2, "retry takes no --role."),
        (
            ["shop-a", "reassign", "--role", "backend enginer"],
            2,
            'There is no role "backend enginer", and no worker serves one. Did you mean "backend-engineer"?',
        ),
        (["shop-a", "reassign", "--role", "zzz"], 2, "There are: backend-engineer, ceo, code-reviewer,"),
        (["shop-9", "retry"], 3, "There is no bead 'shop-9'"),
        (["shop-then-0", "retry"], 4, "shop/shop-then-0 waits for no decision."),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(
    cli: Any, basket: Decision, arguments: list[str], code: int, message: str
) -> None:
    said = cli("decide", *arguments)
    assert (said.code, said.out) == (code, "")
    assert message in said.err
    (one,) = cli("inbox", "--json").json
    assert one["decision"] == basket.decision_id


def test_a_second_time_it_is_refused_with_what_was_decided(cli: Any, basket: Decision) -> None:
    cli("decide", "shop-a", "retry", "--advice", "Use v2.")
    for name in ("shop-a", basket.decision_id):
        said = cli("decide", name, "close")
        assert said.code == 4
        assert f"{basket.key} was decided by {getpass.getuser()} at 2" in said.err
        assert "retry: Use v2. `dispatch inbox" in said.err
    assert cli("show", "shop-a", "--json").json["status"] == "open"


def test_closing_a_decision_by_hand_advises(cli: Any, basket: Decision) -> None:
    assert cli("close", basket.decision_id, "--reason", "Use v2.").out.endswith("No longer blocked: shop-a.\n")
    one = cli("inbox", basket.decision_id, "--json").json
    assert (one["option"], one["advice"], one["decided_by"]) == ("retry", "Use v2.", getpass.getuser())


def test_a_live_ticker_is_asked_for_a_tick(cli: Any, escalate: Escalate, enlist: Any, settings: Any) -> None:
    escalate("shop-a")
    enlist("control")
    client = redis.Redis.from_url(settings.broker_url.replace("redis+socket://", "unix://").partition("?")[0])
    assert client.llen(f"{settings.key_prefix}:control") == 0
    cli("decide", "shop-a", "retry")
    assert client.llen(f"{settings.key_prefix}:control") == 1
    client.close()


def test_the_way_through_a_file_keeps_decisions(cli: Any, basket: Decision, tmp_path: Any) -> None:
    cli("decide", "shop-a", "retry", "--advice", "Use v2.")
    path = tmp_path / "out.jsonl"
    assert cli("export", "--project", "shop", "--output", path).code == 0
    (line,) = [one for one in map(json.loads, path.read_text().splitlines()) if one["id"] == basket.decision_id]
    assert (line["issue_type"], line["status"], line["close_reason"]) == ("decision", "closed", "retry: Use v2.")
    assert line["metadata"]["escalates"] == "shop-a"
    assert "AssertionError: 3 != 4" in line["description"]
    assert cli("import", path).code == 0
    assert cli("inbox", basket.decision_id, "--json").json["advice"] == "Use v2."
