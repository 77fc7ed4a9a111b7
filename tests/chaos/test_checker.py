"""The checker of histories finds each thing that must not be, and nothing in a history that is good."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from dispatch.models.event import Event
from dispatch.models.identity import BeadId, ProjectId, RunId
from dispatch.models.landing import Landed
from dispatch.models.outcome import Completed
from dispatch.results import judge_landing
from tests.chaos.checker import Blockers, check

NOON = datetime(2026, 9, 25, 12, tzinfo=UTC)
BLOCKERS: Blockers = {BeadId("one"): (), BeadId("two"): (BeadId("one"),)}
ONE = """
run.claimed one r1 agent=x attempt=1
run.started one r1 agent=x
run.reported one r1 agent=x outcome=completed commit=c1
run.settled one r1 agent=x outcome=completed commit=c1
bead.landing one r1 move=await_landing
bead.closed one r1 move=land
"""
TWO = """
run.claimed two r2 agent=x attempt=1
run.started two r2 agent=y
run.reported two r2 agent=y outcome=completed
run.settled two r2 agent=y outcome=completed
bead.closed two r2 move=finish
"""
SWAP = """
run.claimed one r1 agent=x attempt=1
run.claimed three r3 agent=y attempt=1
run.rebound three r3 agent=x was=y
run.started one r1 agent=y
run.started three r3 agent=x
run.reported one r1 agent=y outcome=completed
run.rebound one r1 was=y
run.claimed four r4 agent=y attempt=1
run.settled one r1 outcome=completed
bead.closed one r1 move=finish
run.withdrawn four r4 agent=y
bead.open four r4 move=return
run.expired three r3 agent=x outcome=lost
run.report_refused - r3 outcome=completed
run.settled three r3 agent=x outcome=lost
bead.open three r3 move=return
run.claimed four r5 agent=y attempt=1
run.claimed three r6 agent=x attempt=2
run.start_refused three r6
run.started three r6 agent=x
run.asked_to_stop three r6 agent=x
run.reported three r6 agent=x outcome=completed
run.settled three r6 agent=x outcome=completed
bead.closed three r6 move=finish
run.started four r5 agent=y
run.reported four r5 agent=y outcome=completed
run.settled four r5 agent=y outcome=completed
bead.closed four r5 move=finish
"""
"""Agents that are exchanged and given away, a run that is withdrawn, and one that is lost and reports late."""


def history(text: str) -> list[Event]:
    """Read events, one a line: kind, bead, run, facts. The attempt and role of a run go on from its claim."""
    events: list[Event] = []
    claimed: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line:
            continue
        kind, bead, run, *rest = line.split()
        facts: dict[str, Any] = dict(word.split("=") for word in rest)
        facts |= {"attempt": int(facts["attempt"])} if "attempt" in facts else {}
        facts = {name: None if value == "None" else value for name, value in facts.items()}
        facts |= {"move": facts["move"].replace("_", " ")} if "move" in facts else {}
        if kind.startswith("run.") and not kind.endswith("_refused"):
            claimed.setdefault(run, {"attempt": facts.get("attempt"), "role": "dev"})
            facts = {"agent": None, **claimed[run], **facts}
        events.append(
            Event(
                id=number,
                at=NOON + timedelta(seconds=number),
                kind=kind,
                project_id=ProjectId("shop") if bead != "-" else None,
                bead_id=BeadId(bead) if bead != "-" else None,
                run_id=RunId(UUID(int=int(run[1:]))) if run != "-" else None,
                data=facts,
            )
        )
    return events


def edit(text: str, line: int, *instead: str, upto: int | None = None) -> str:
    """Write other lines, or none, instead of one line (the first is 1), or of all from it up to another."""
    lines = text.strip().split("\n")
    lines[line - 1 : upto or line] = instead
    return "\n".join(lines) + "\n"


def after(text: str, line: int, *more: str) -> str:
    """Write more lines after one."""
    return edit(text, line, text.strip().split("\n")[line - 1], *more)


def sentences(text: str, blockers: Blockers = BLOCKERS) -> list[str]:
    return [violation.sentence for violation in check(history(text), blockers)]


def test_a_good_history_has_nothing_wrong() -> None:
    assert sentences(ONE + TWO) == []
    four: Blockers = {BeadId(name): () for name in ("one", "three", "four")}
    assert sentences(SWAP, four) == []


R1, R2, R9 = (UUID(int=number) for number in (1, 2, 9))
AGAIN = """
run.claimed one r9 agent=x attempt=2
run.started one r9 agent=x
run.reported one r9 agent=x outcome=completed
run.settled one r9 agent=x outcome=completed
bead.closed one r9 move=finish
"""
REPORTED, SETTLED = (f"run.{end} one r1 agent=x outcome=completed commit=c1" for end in ("reported", "settled"))
LANDING, LANDED = "bead.landing one r1 move=await_landing", "bead.closed one r1 move=land"
WITHDRAWN = "run.withdrawn three r9 agent=x\nbead.open three r9 move=return\n"
WRONG: dict[str, tuple[str, list[str]]] = {
    "closed twice": (
        ONE + AGAIN + TWO,
        ["The bead one made the move 'claim' while it was closed.", "The bead one was closed 2 times."],
    ),
    "never closed": (ONE, ["The bead two was closed 0 times."]),
    "claimed too early": (TWO + ONE, ["The bead two was claimed before one closed."]),
    "claimed before it landed": (edit(ONE, 6) + TWO + LANDED, ["The bead two was claimed before one closed."]),
    "two runs of one bead": (
        after(ONE, 2, "run.claimed one r9 agent=z attempt=2") + "run.withdrawn one r9 agent=z\n" + TWO,
        ["The bead one made the move 'claim' while it was in_progress.", "The bead one was claimed while another run"],
    ),
    "an agent with two runs": (
        after(ONE, 2, "run.claimed three r9 agent=x attempt=1") + WITHDRAWN + TWO,
        [f"The agent x got the run {R9} while it had {R1}."],
    ),
    "an agent with a run it was not claimed for": (
        ONE + after(TWO, 2, "run.claimed three r9 agent=y attempt=1") + WITHDRAWN.replace("=x", "=y"),
        [f"The agent y got the run {R9} while it had {R2}."],
    ),
    "an agent of a run that has started is taken in exchange": (
        after(ONE, 2, "run.claimed three r9 agent=z attempt=1", "run.rebound three r9 agent=x was=z") + WITHDRAWN + TWO,
        [f"The agent x got the run {R9} while it had {R1}."],
    ),
    "an agent that is not the run's": (
        edit(ONE, 4, SETTLED.replace("=x", "=z")) + TWO,
        [f"The run {R1} is told to have the agent z, and had x."],
    ),
    "a report after the lease": (
        edit(ONE, 3, REPORTED.replace("reported", "expired"), REPORTED) + TWO,
        [f"The run {R1} has 2 reports.", f"The run {R1} has run.reported while it was reported."],
    ),
    "two reports": (
        after(ONE, 3, REPORTED) + TWO,
        [f"The run {R1} has 2 reports.", f"The run {R1} has run.reported while it was reported."],
    ),
    "a report after the end": (
        after(ONE, 5, REPORTED.replace("=x", "=None")) + TWO,
        [
            f"The run {R1} has 2 reports.",
            f"A late report of the run {R1} was taken",
            f"The run {R1} has run.reported while",
        ],
    ),
    "a report after it was withdrawn": (
        ONE + TWO + "run.claimed three r9 agent=x attempt=1\n" + WITHDRAWN + "run.reported three r9 outcome=completed",
        [f"A late report of the run {R9} was taken", f"The run {R9} has run.reported while it was withdrawn."],
    ),
    "a late report in place of the first": (
        edit(ONE, 3, "run.expired one r1 agent=x outcome=lost") + TWO,
        [f"The run {R1} was settled otherwise than it was reported."],
    ),
    "a report refused in time": (
        after(ONE, 2, "run.report_refused - r1 outcome=completed") + TWO,
        [f"The run {R1} has run.report_refused while it was running."],
    ),
    "two ends": (
        ONE + "run.withdrawn one r1\n" + TWO,
        [f"The run {R1} has 2 ends.", f"The run {R1} has run.withdrawn while it was settled."],
    ),
    "settled twice": (
        ONE + SETTLED.replace("=x", "=None") + TWO,
        [f"The run {R1} has 2 ends.", f"The run {R1} has run.settled while it was settled."],
    ),
    "no end": (
        ONE + TWO + "run.claimed three r9 agent=x attempt=1",
        [f"The run {R9} never ended."],
    ),
    "claimed twice": (
        after(ONE, 1, "run.claimed one r1 agent=x attempt=1") + TWO,
        [
            f"The run {R1} has 2 claims.",
            f"The run {R1} has run.claimed while",
            "The bead one made the move 'claim'",
            "The bead one was claimed while",
            "",
        ],
    ),
    "two starts": (
        after(ONE, 2, "run.started one r1 agent=x") + TWO,
        [f"The run {R1} has 2 starts.", f"The run {R1} has run.started while it was running."],
    ),
    "no start": (
        edit(ONE, 2) + TWO,
        [f"The run {R1} has run.reported while it was pending.", f"The run {R1} has run.settled while it was pending."],
    ),
    "withdrawn after its start": (
        edit(ONE, 3, "run.withdrawn one r1 agent=x", "bead.open one r1 move=return", upto=6)
        + AGAIN.replace("attempt=2", "attempt=1")
        + TWO,
        [f"The run {R1} has run.withdrawn while it was running."],
    ),
    "an attempt left out": (
        ONE + edit(TWO, 1, "run.claimed two r2 agent=x attempt=2"),
        ["The bead two has attempt 2 as its 1th."],
    ),
    "another attempt's run": (
        edit(ONE, 4, SETTLED + " attempt=7") + TWO,
        [f"The run {R1} became another bead's, attempt's or role's."],
    ),
    "accepted before its run ended": (
        edit(ONE, 4, LANDING, SETTLED, upto=5) + TWO,
        ["The bead one made the move 'await landing' by a run that had not ended."],
    ),
    "closed without having landed": (
        edit(ONE, 5) + TWO,
        ["The bead one made the move 'land' while it was in_progress."],
    ),
    "closed by a run that failed": (
        ONE + TWO.replace("outcome=completed", "outcome=failed"),
        ["The bead two made the move 'finish' by a run that did not complete."],
    ),
    "a move that leads elsewhere": (
        ONE + edit(TWO, 5, "bead.closed two r2 move=return"),
        ["The bead two has bead.closed by the move 'return', which leads elsewhere."],
    ),
    "no move": (ONE + edit(TWO, 5, "bead.closed two r2"), ["The bead two was moved by 'None', which is no move."]),
    "an unknown event": (ONE + TWO + "run.paused two r2", ["The checker does not know what run.paused means."]),
    "an unknown bead": (ONE + TWO + "bead.added four -", ["The history tells of the bead four, which there is not."]),
}
"""By what is wrong: a history, and the beginnings of the sentences that say so."""


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_found_and_nothing_else(wrong: str) -> None:
    text, expected = WRONG[wrong]
    blockers = {**BLOCKERS, **({BeadId("three"): ()} if " three " in text else {})}
    said = [s for s in sentences(text, blockers) if s != "The bead three was closed 0 times."]
    assert len(said) == len(expected), said
    assert all(sentence.startswith(start) for sentence, start in zip(said, expected, strict=True)), said


def test_a_violation_shows_the_events_that_prove_it() -> None:
    (violation,) = check(history(TWO + ONE), BLOCKERS)
    assert [event.kind for event in violation.events] == ["run.claimed"]
    assert "12:00:02.000000 run.claimed two" in str(violation)


DONE = Completed(nothing_to_do=True)
REAL: Blockers = {BeadId(f"shop-{n}"): (BeadId("shop-1"),) if n == 2 else () for n in range(1, 6)}
MOVES_NOTHING = {"run.start_refused", "run.report_refused", "run.asked_to_stop"}


@pytest.fixture
def real(scene: Any) -> list[Event]:
    """Given what the store tells of five beads: landed, blocked, exchanged, withdrawn, lost with a late report."""
    store = scene.store
    here, there = scene.worker("here@host"), scene.worker("there@host")
    keys = {str(name): scene.bead(name, waits_for=tuple(blockers)) for name, blockers in REAL.items()}

    # The first lands, and the second goes after it.
    scene.work(keys["shop-1"], here, Completed(), "c1")
    bead = scene.read(keys["shop-1"])
    store.settling.finish_landing(bead.key, judge_landing(bead, Landed("c2", "c0"), scene.settings))
    scene.work(keys["shop-2"], here, DONE)

    # Two runs get each other's worker, and one gives its agent away before it is settled.
    third, fourth = (scene.claimed(keys[f"shop-{n}"], scene.agents_of(w)) for n, w in ((3, here), (4, there)))
    started = scene.start(third, there)
    scene.report(started, DONE)
    scene.start(fourth, there)
    scene.settle(third)

    # One is taken back, one is lost and reports late.
    taken_back = scene.claimed(keys["shop-5"], scene.agents_of(here))
    store.projects.set_paused(scene.project.id, True)
    assert store.rescue.withdraw_unstartable(
        max_publishes=3, backoff=timedelta(minutes=1), lease=timedelta(seconds=45)
    ) == [taken_back]
    store.projects.set_paused(scene.project.id, False)
    lost = scene.start(scene.claimed(keys["shop-5"], scene.agents_of(here)), here)
    scene.clock.advance(timedelta(minutes=1))
    assert set(store.rescue.expire_leases()) == {lost.run.id, fourth}
    assert not scene.report(lost, DONE)
    scene.settle(lost.run.id)
    scene.settle(fourth)
    for worker, name in ((here, "shop-4"), (there, "shop-5")):
        store.swarm.heartbeat(worker)
        again = scene.start(scene.claimed(keys[name], scene.agents_of(worker)), worker)
        store.swarm.stop_taking(worker)
        assert isinstance(store.running.start(again.run.id, worker), str), "it runs already"
        scene.report(again, DONE)
        scene.settle(again.run.id)
    return store.reading.events_after(0)  # type: ignore[no-any-return]


def test_a_real_history_has_nothing_wrong_and_everything_in_it(real: list[Event]) -> None:
    assert check(real, REAL) == []
    told = {event.kind for event in real}
    assert told >= MOVES_NOTHING | {"run.rebound", "run.expired", "run.withdrawn", "bead.landing", "bead.open"}


def numbered(events: Iterable[Event]) -> list[Event]:
    """Number events anew, so that only what they tell can show that they are not the true ones."""
    return [replace(event, id=number, at=NOON) for number, event in enumerate(events, 1)]


def moving(events: Sequence[Event]) -> list[int]:
    """Return where the events are that move a run, a bead or an agent."""
    told = [(place, event) for place, event in enumerate(events) if event.kind.startswith(("run.", "bead."))]
    return [place for place, event in told if event.kind not in MOVES_NOTHING]


def test_no_event_can_be_missing_from_a_real_history(real: list[Event]) -> None:
    for place in moving(real):
        assert check(numbered(real[:place] + real[place + 1 :]), REAL), f"{real[place]} is not missed"


def test_no_event_can_be_twice_in_a_real_history(real: list[Event]) -> None:
    for place in moving(real):
        for later in range(place + 1, len(real) + 1):
            doubled = [*real[:later], real[place], *real[later:]]
            assert check(numbered(doubled), REAL), f"{real[place]} is taken again at {later}"


def test_no_two_events_of_a_bead_can_be_in_another_order(real: list[Event]) -> None:
    places = moving(real)
    for place in places:
        following = next((later for later in places if later > place and real[later].bead_id == real[place].bead_id), 0)
        if following:
            swapped = list(real)
            swapped[place], swapped[following] = real[following], real[place]
            assert check(numbered(swapped), REAL), f"{real[place]} and {real[following]} are taken in any order"


def test_a_claim_cannot_be_moved_before_the_end_of_what_blocks_it(real: list[Event]) -> None:
    closed = next(place for place, event in enumerate(real) if event.kind == "bead.closed")
    claimed = next(place for place, event in enumerate(real) if event.bead_id == "shop-2")
    assert closed < claimed
    moved = [*real[:closed], real[claimed], *real[closed:claimed], *real[claimed + 1 :]]
    assert any("was claimed before shop-1 closed" in violation.sentence for violation in check(numbered(moved), REAL))
