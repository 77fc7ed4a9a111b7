"""Finds in a history what must never happen: events and the beads' dependencies in, violations out.

The events alone are believed, in their order; nothing else of the database is looked at. Each rule stands alone, so
that what breaks one does not hide what breaks another. A step has one run here.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dispatch.models.event import Event
from dispatch.models.identity import BeadId, RunId
from dispatch.models.states import BEAD_MOVES, RUN_MOVES, BeadEvent, BeadStatus, RunEvent, RunState

Blockers = Mapping[BeadId, Collection[BeadId]]
"""Every bead there is, with the beads that it is blocked by."""

_RUN_MOVES: Mapping[str, RunEvent] = {
    "run.started": RunEvent.START,
    "run.asked_to_stop": RunEvent.ASK_TO_STOP,
    "run.reported": RunEvent.REPORT,
    "run.expired": RunEvent.EXPIRE,
    "run.settled": RunEvent.SETTLE,
    "run.withdrawn": RunEvent.WITHDRAW,
}
_ENDED = frozenset({RunState.SETTLED, RunState.WITHDRAWN})
_BESIDE: Mapping[str, Collection[str]] = {
    "run.start_refused": frozenset(RunState),
    "run.report_refused": frozenset({RunState.REPORTED}) | _ENDED,
    "run.rebound": frozenset({RunState.PENDING, RunState.REPORTED}),
    "run.settle_failed": frozenset({RunState.REPORTED}),
}
"""What is told of a run without moving it, and the states in which it may be."""
_REFUSALS = frozenset({"run.start_refused", "run.report_refused"})
_REPORTS = frozenset({"run.reported", "run.expired"})
_ENDS = frozenset({"run.settled", "run.withdrawn"})
_ONCE = {"claims": {"run.claimed"}, "starts": {"run.started"}, "reports": _REPORTS, "ends": _ENDS}
_BEAD_MOVES = frozenset({"bead.open", "bead.landing", "bead.closed"})
_OTHER = frozenset({"run.claimed", "bead.added", "bead.adopted", "bead.kept", "bead.escalated", "bead.triaged"})
_KNOWN = frozenset({*_RUN_MOVES, *_BESIDE, *_BEAD_MOVES, *_OTHER})
_ACCEPTING = frozenset({BeadEvent.FINISH, BeadEvent.AWAIT_LANDING})


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong, in a sentence, and the events that show it."""

    sentence: str
    events: tuple[Event, ...] = ()

    def __str__(self) -> str:
        return "\n".join([self.sentence, *(f"    {tell(event)}" for event in self.events)])


def check(events: Sequence[Event], blockers: Blockers) -> list[Violation]:
    """Return everything in a history that must not be, none when it is a good one."""
    return [violation for rule in RULES for violation in rule(events, blockers)]


def tell(event: Event) -> str:
    """Write an event on one line."""
    facts = " ".join(f"{name}={value}" for name, value in event.data.items() if value is not None)
    about = " ".join(str(name) for name in (event.bead_id, event.run_id) if name is not None)
    return f"{event.id} {event.at:%H:%M:%S.%f} {event.kind} {about} {facts}"


def only_known_things(events: Sequence[Event], blockers: Blockers) -> Iterator[Violation]:
    """An event that the rules do not know, or about a bead that they were not told of, cannot be judged."""
    for event in events:
        if event.kind.partition(".")[0] in ("run", "bead"):
            if event.kind not in _KNOWN:
                yield Violation(f"The checker does not know what {event.kind} means.", (event,))
            if event.bead_id is not None and event.bead_id not in blockers:
                yield Violation(f"The history tells of the bead {event.bead_id}, which there is not.", (event,))


def runs_happen_once(events: Sequence[Event], blockers: Blockers) -> Iterator[Violation]:
    """A run is claimed once, started at most once, reported at most once, and ends once; then nothing is taken."""
    for run_id, told in _by_run(events).items():
        for what, kinds in _ONCE.items():
            found = tuple(event for event in told if event.kind in kinds)
            if len(found) > 1:
                yield Violation(f"The run {run_id} has {len(found)} {what}.", found)
        ends = [event for event in told if event.kind in _ENDS]
        if not ends and any(event.kind not in _REFUSALS for event in told):
            yield Violation(f"The run {run_id} never ended.", (told[-1],))
        for event in told[told.index(ends[0]) :] if ends else []:
            if event.kind in _REPORTS:
                yield Violation(f"A late report of the run {run_id} was taken, after its end.", (ends[0], event))


def runs_move_as_allowed(events: Sequence[Event], blockers: Blockers) -> Iterator[Violation]:
    """A run moves as its table says, and what is only noted of it is noted when it may be."""
    for run_id, told in _by_run(events).items():
        state: str | None = None
        got_there: tuple[Event, ...] = ()
        for event in told:
            target, allowed = _move_of_run(event.kind, state)
            if not allowed:
                now = f"it was {state}" if state else "nobody had claimed it"
                yield Violation(f"The run {run_id} has {event.kind} while {now}.", (*got_there, event))
            elif target is not None:
                state, got_there = target, (event,)


def _move_of_run(kind: str, state: str | None) -> tuple[str | None, bool]:
    """Return where an event leads a run, None: nowhere, and whether it may happen in that state."""
    if kind == "run.claimed":
        return RunState.PENDING, state is None
    if kind in _RUN_MOVES:
        move = RUN_MOVES[_RUN_MOVES[kind]]
        return move.target, state in move.sources
    return None, kind not in _BESIDE or kind == "run.start_refused" or state in _BESIDE[kind]


def runs_stay_what_they_are(events: Sequence[Event], blockers: Blockers) -> Iterator[Violation]:
    """A run is of one bead, attempt and role all its life."""
    for run_id, told in _by_run(events).items():
        full = [event for event in told if event.kind not in _REFUSALS]
        for event in full[1:]:
            if _facts(event) != _facts(full[0]):
                yield Violation(f"The run {run_id} became another bead's, attempt's or role's.", (full[0], event))


def _facts(event: Event) -> tuple[object, ...]:
    return event.project_id, event.bead_id, event.data.get("attempt"), event.data.get("role")


def what_was_reported_is_settled(events: Sequence[Event], blockers: Blockers) -> Iterator[Violation]:
    """The first report is the one that counts, word for word."""
    for run_id, told in _by_run(events).items():
        reports = [event for event in told if event.kind in _REPORTS]
        for event in told:
            if event.kind == "run.settled" and reports and _result(event) != _result(reports[0]):
                yield Violation(f"The run {run_id} was settled otherwise than it was reported.", (reports[0], event))


def _result(event: Event) -> tuple[object, object]:
    return event.data.get("outcome"), event.data.get("commit")


def beads_move_as_allowed(events: Sequence[Event], blockers: Blockers) -> Iterator[Violation]:
    """A bead moves as its table says, by a run that has ended, and is accepted only where that run completed."""
    for bead_id, told in _by_bead(events).items():
        status: str = BeadStatus.OPEN
        got_there: tuple[Event, ...] = ()
        ended: dict[RunId | None, Event] = {}
        for event in told:
            if event.kind in _ENDS:
                ended[event.run_id] = event
            move = _move_of_bead(event)
            if move is None:
                continue
            problem = _problem_of_move(event, move, status, ended.get(event.run_id))
            if problem is not None:
                yield Violation(f"The bead {bead_id} {problem}.", (*got_there, event))
            if isinstance(move, BeadEvent):
                status, got_there = BEAD_MOVES[move].target, (event,)


def _move_of_bead(event: Event) -> BeadEvent | str | None:
    """Return the move that an event is; as text when there is no such move, None when it is none."""
    match event.kind:
        case "run.claimed":
            return BeadEvent.CLAIM
        case "bead.adopted":
            return BeadEvent.ADOPT
        case kind if kind in _BEAD_MOVES:
            move = str(event.data.get("move"))
            return BeadEvent(move) if move in set(BeadEvent) else move
        case _:
            return None


def _problem_of_move(event: Event, move: BeadEvent | str, status: str, end: Event | None) -> str | None:
    if not isinstance(move, BeadEvent):
        return f"was moved by '{move}', which is no move"
    if event.kind in _BEAD_MOVES and event.kind != f"bead.{BEAD_MOVES[move].target}":
        return f"has {event.kind} by the move '{move}', which leads elsewhere"
    if status not in BEAD_MOVES[move].sources:
        return f"made the move '{move}' while it was {status}"
    if event.kind in _BEAD_MOVES and end is None:
        return f"made the move '{move}' by a run that had not ended"
    if move in _ACCEPTING and end is not None and end.data.get("outcome") != "completed":
        return f"made the move '{move}' by a run that did not complete"
    return None


def beads_close_once(events: Sequence[Event], blockers: Blockers) -> Iterator[Violation]:
    """Every bead ends, and ends once."""
    closings: dict[BeadId | None, list[Event]] = defaultdict(list)
    for event in events:
        if event.kind == "bead.closed":
            closings[event.bead_id].append(event)
    for bead_id in blockers:
        told = closings[bead_id]
        if len(told) != 1:
            yield Violation(f"The bead {bead_id} was closed {len(told)} times.", tuple(told))


def blockers_close_first(events: Sequence[Event], blockers: Blockers) -> Iterator[Violation]:
    """No bead is claimed before everything that it is blocked by is closed."""
    closed: set[BeadId | None] = set()
    for event in events:
        if event.kind == "bead.closed":
            closed.add(event.bead_id)
        elif event.kind == "run.claimed" and event.bead_id is not None:
            early = sorted(set(blockers.get(event.bead_id, ())) - closed)
            if early:
                yield Violation(f"The bead {event.bead_id} was claimed before {', '.join(early)} closed.", (event,))


def a_bead_has_one_run_at_a_time(events: Sequence[Event], blockers: Blockers) -> Iterator[Violation]:
    """From its claim until it is settled or withdrawn, a run has its bead alone."""
    for bead_id, told in _by_bead(events).items():
        open_runs: dict[RunId | None, Event] = {}
        for event in told:
            if event.kind == "run.claimed":
                for before in open_runs.values():
                    yield Violation(f"The bead {bead_id} was claimed while another run had it.", (before, event))
                open_runs[event.run_id] = event
            elif event.kind in _ENDS:
                open_runs.pop(event.run_id, None)


def attempts_count_up(events: Sequence[Event], blockers: Blockers) -> Iterator[Violation]:
    """The attempts at a bead are 1, 2, 3; one that was withdrawn does not count."""
    for bead_id, told in _by_bead(events).items():
        claims: list[Event] = []
        for event in told:
            if event.kind == "run.claimed":
                attempt = len(claims) + 1
                claims.append(event)
                if event.data.get("attempt") != attempt:
                    yield Violation(
                        f"The bead {bead_id} has attempt {event.data.get('attempt')} as its {attempt}th.", tuple(claims)
                    )
            elif event.kind == "run.withdrawn":
                claims = [claim for claim in claims if claim.run_id != event.run_id]


def an_agent_has_one_run_at_a_time(events: Sequence[Event], blockers: Blockers) -> Iterator[Violation]:
    """From its claim until it is settled, withdrawn or rebound, a run has its agent alone."""
    hands = _Hands()
    for event in events:
        if event.run_id is not None and "agent" in event.data:
            yield from hands.follow(event, event.run_id)


class _Hands:
    """Which agent each run has, and since which event, as the history is gone through."""

    def __init__(self) -> None:
        self._agent_of: dict[RunId, str] = {}
        self._taken: dict[str, Event] = {}
        self._started: set[RunId] = set()

    def follow(self, event: Event, run_id: RunId) -> Iterator[Violation]:
        agent: str | None = event.data["agent"]
        match event.kind:
            case "run.claimed" | "run.started":
                if event.kind == "run.started":
                    self._started.add(run_id)
                self._let_go(run_id)
                yield from self._take(agent, event, run_id)
            case "run.rebound":
                yield from self._expect(event.data.get("was"), event, run_id)
                before = self._let_go(run_id)
                self._swap(agent, before, event)
                yield from self._take(agent, event, run_id)
            case _:
                yield from self._expect(agent, event, run_id)
                if event.kind in _ENDS:
                    self._let_go(run_id)

    def _swap(self, agent: str | None, before: str | None, event: Event) -> None:
        """Let a run that has not started have in exchange what it gives: its start is the next that is told of it."""
        other = self._taken.get(agent) if agent is not None else None
        if other is None or other.run_id is None or before is None or other.run_id in self._started:
            return
        self._let_go(other.run_id)
        self._agent_of[other.run_id] = before
        self._taken[before] = other

    def _take(self, agent: str | None, event: Event, run_id: RunId) -> Iterator[Violation]:
        if agent is None:
            return
        other = self._taken.get(agent)
        if other is not None:
            yield Violation(f"The agent {agent} got the run {run_id} while it had {other.run_id}.", (other, event))
        self._agent_of[run_id], self._taken[agent] = agent, event

    def _let_go(self, run_id: RunId) -> str | None:
        agent = self._agent_of.pop(run_id, None)
        if agent is not None and agent in self._taken and self._taken[agent].run_id == run_id:
            del self._taken[agent]
        return agent

    def _expect(self, agent: str | None, event: Event, run_id: RunId) -> Iterator[Violation]:
        known = self._agent_of.get(run_id)
        if agent != known:
            yield Violation(f"The run {run_id} is told to have the agent {agent}, and had {known}.", (event,))


def _by_run(events: Iterable[Event]) -> dict[RunId, list[Event]]:
    told: dict[RunId, list[Event]] = defaultdict(list)
    for event in events:
        if event.run_id is not None and event.kind.startswith("run."):
            told[event.run_id].append(event)
    return told


def _by_bead(events: Iterable[Event]) -> dict[BeadId, list[Event]]:
    told: dict[BeadId, list[Event]] = defaultdict(list)
    for event in events:
        if event.bead_id is not None:
            told[event.bead_id].append(event)
    return told


Rule = Callable[[Sequence[Event], Blockers], Iterator[Violation]]
RULES: tuple[Rule, ...] = (
    only_known_things,
    runs_happen_once,
    runs_move_as_allowed,
    runs_stay_what_they_are,
    what_was_reported_is_settled,
    beads_move_as_allowed,
    beads_close_once,
    blockers_close_first,
    a_bead_has_one_run_at_a_time,
    attempts_count_up,
    an_agent_has_one_run_at_a_time,
)
