"""What a live view shows, read from the store: the present, and the events since the last look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dispatch.cli.live_words import in_words, short_agent
from dispatch.models.event import Event
from dispatch.models.identity import ProjectId
from dispatch.models.run import Run
from dispatch.store import Store

_OVERLAP = 200
"""Events that are read again at each look: one with a lower number may have been committed later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The present of a deployment: beads by status, and the open runs, oldest first."""

    counts: Mapping[str, int]
    runs: Sequence[Run]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An event in words, with its local time."""

    clock: str
    text: str

    def __str__(self) -> str:
        return f"{self.clock} {self.text}"


class Follower:
    """Follows the events of a deployment from now on, each told once."""

    def __init__(self, store: Store, project_id: ProjectId | None = None) -> None:
        self._store = store
        self._project_id = project_id
        self._newest = _newest_event(store)
        self._oldest = self._newest
        self._told: set[int] = set()
        self._names: dict[str, str] = {}

    def picture(self) -> Picture:
        """Look at the present."""
        runs = self._store.reading.runs(project_id=self._project_id, open_only=True)
        return Picture(counts=self._store.reading.counts(self._project_id), runs=runs[::-1])

    def news(self) -> list[Event]:
        """Return the events that were not told yet."""
        found: list[Event] = []
        while batch := self._next_batch():
            found += batch
        return found

    def _next_batch(self) -> list[Event]:
        after = max(self._oldest, self._newest - _OVERLAP)
        events = [event for event in self._store.reading.events_after(after) if event.id not in self._told]
        self._newest = max([self._newest, *(event.id for event in events)])
        self._told.update(event.id for event in events)
        self._told = {number for number in self._told if number > self._newest - _OVERLAP}
        return events

    def lines(self, events: Sequence[Event]) -> list[Line]:
        """Put events into words; those that are not worth a line are left out."""
        several = self._project_id is None and self._store.projects.count() > 1
        lines = []
        for event in events:
            words = in_words(event, self._agent_name, with_project=several)
            if words is not None:
                lines.append(Line(clock=event.at.astimezone().strftime("%H:%M:%S"), text=words))
        return lines

    def _agent_name(self, agent_id: str | None) -> str:
        if agent_id is None:
            return "-"
        if agent_id not in self._names:
            self._names.update({str(agent.id): short_agent(agent.name) for agent in self._store.swarm.agents()})
        return self._names.get(agent_id, agent_id[:8])


def _newest_event(store: Store) -> int:
    """Return the number of the newest event, or 0: by halving, so that a long history is not read to find its end."""

    def is_before_end(number: int) -> bool:
        return bool(store.reading.events_after(number, limit=1))

    above = 1
    while is_before_end(above):
        above *= 2
    below = 0
    while below < above:
        middle = (below + above) // 2
        below, above = (middle + 1, above) if is_before_end(middle) else (below, middle)
    return below
