"""`up --limit` and `--label`: a dispatcher that sees only some of the beads, and ticks in this process."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from dispatch.dispatcher import Dispatcher, Tick
from dispatch.models.bead import Bead
from dispatch.models.dispatching import (
    Candidate,
    Handover,
    Lane,
    Placement,
    Refusal,
    StatusNote,
    Supply,
    SystemStatus,
    Wishes,
)
from dispatch.models.identity import BeadKey, ProjectId, RunId
from dispatch.settings import Settings
from dispatch.store import Store
from dispatch.store.dispatching import Round
from dispatch.wiring import System, open_system
from dispatch.workspaces import RepositoryCheck

_TICK_SECONDS = 1.0
_ALL = 100_000
"""Beads of a lane that are looked at: those that are taken may stand behind many that are not."""


class Selection:
    """Takes beads with a label, at most so many of them. A bead that was begun is gone on with until it is done."""

    def __init__(self, *, label: str | None = None, limit: int | None = None) -> None:
        self._label = label
        self._limit = limit
        self._begun: set[BeadKey] = set()

    @property
    def room(self) -> int | None:
        """How many more beads may be begun; None: any number."""
        return None if self._limit is None else max(self._limit - len(self._begun), 0)

    def takes(self, bead: Bead) -> bool:
        """Tell whether a bead may be dispatched now."""
        if bead.key in self._begun:
            return True
        return (self._label is None or self._label in bead.labels) and self.room != 0

    def fitting(self, placements: Sequence[Placement]) -> list[Placement]:
        """Return the placements of begun beads, and of as many others as may be begun."""
        room, kept = self.room, []
        for placement in placements:
            if placement.bead not in self._begun and room is not None:
                if room == 0:
                    continue
                room -= 1
            kept.append(placement)
        return kept

    def begin(self, handovers: Sequence[Handover]) -> None:
        """Note the beads that went."""
        for handover in handovers:
            self._begun.update(BeadKey.of(task.project_id, task.bead_id) for task in handover.tasks)


class _SelectiveRound:
    """A round that shows and claims only what the selection takes."""

    def __init__(self, whole: Round, selection: Selection) -> None:
        self._whole = whole
        self._selection = selection

    def supply(self, project_id: ProjectId | None = None, *, lock: bool = True) -> Supply:
        return self._whole.supply(project_id, lock=lock)

    def candidates(self, lanes: Sequence[Lane]) -> list[Candidate]:
        found = self._whole.candidates([replace(lane, limit=_ALL) for lane in lanes])
        return [candidate for candidate in found if self._selection.takes(candidate.bead)]

    def unserved(self, lanes: Sequence[Lane], *, answered: Collection[str], patience: timedelta) -> list[Candidate]:
        found = self._whole.unserved(
            [replace(lane, limit=_ALL) for lane in lanes], answered=answered, patience=patience
        )
        return [candidate for candidate in found if self._selection.takes(candidate.bead)]

    def claim(self, placements: Sequence[Placement]) -> list[Handover]:
        handovers = self._whole.claim(self._selection.fitting(placements))
        self._selection.begin(handovers)
        return handovers

    def refuse(self, refusals: Sequence[Refusal]) -> None:
        self._whole.refuse(refusals)

    def note(self, notes: Sequence[StatusNote]) -> None:
        self._whole.note(notes)


class _SelectiveRounds:
    """The store's dispatching part, seen through a selection."""

    def __init__(self, store: Store, selection: Selection) -> None:
        self._whole = store.dispatching
        self._selection = selection

    @contextmanager
    def round(self, *, wait: bool = True) -> Iterator[_SelectiveRound]:
        with self._whole.round(wait=wait) as round_:
            yield _SelectiveRound(round_, self._selection)

    @contextmanager
    def look(self) -> Iterator[_SelectiveRound]:
        with self._whole.look() as round_:
            yield _SelectiveRound(round_, self._selection)

    def mark_published(self, run_ids: Sequence[RunId]) -> Wishes:
        return self._whole.mark_published(run_ids)

    def read_status(self, scope: str) -> SystemStatus | None:
        return self._whole.read_status(scope)


class _SelectiveStore:
    def __init__(self, store: Store, selection: Selection) -> None:
        self.dispatching = _SelectiveRounds(store, selection)
        self.guarding = store.guarding


class SelectiveTicker:
    """Ticks for one `up` that was told to work on some beads only."""

    def __init__(self, settings: Settings, selection: Selection) -> None:
        self.selection = selection
        self._system = open_system(settings)
        self._tick = selective_tick(self._system, selection)
        self._due = 0.0

    def tick_if_due(self, now: float) -> None:
        """Make a tick when the last one is a second ago; `now` is in seconds of a monotonic clock."""
        if now >= self._due:
            self._due = now + _TICK_SECONDS
            self._tick.run()

    def close(self) -> None:
        """Give back the connections."""
        self._system.close()


def selective_tick(system: System, selection: Selection) -> Tick:
    """Return a tick of a wired system that dispatches only what a selection takes."""
    checks = [RepositoryCheck(system.settings)]
    dispatcher = Dispatcher(
        _SelectiveStore(system.store, selection), system.bus, system.settings, built_in_checks=checks
    )
    return Tick(
        system.store, dispatcher, system.bus, system.settings, sweep=system.results.sweep, tend=system.workflows.tend
    )
