"""The two sides of a comparison: beads through dispatch, and chords through bare Celery, on the same servers."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from celery import Celery
from sqlalchemy import CursorResult, Row, TextClause, text

from benchmarks.parts.bare_names import DONE, PUBLISH
from benchmarks.parts.configuration import PROJECT, ROLE
from benchmarks.parts.waiting import BenchmarkError, wait_for
from dispatch.models.bead import Bead
from dispatch.models.identity import BeadId
from dispatch.models.importing import BeadRecord
from dispatch.models.queues import CONTROL_QUEUE, role_queue
from dispatch.wiring import System

_STORY = text(
    """
SELECT count(*) FILTER (WHERE kind = 'run.settled') AS settled,
       count(*) FILTER (WHERE kind = 'bead.closed') AS closed,
       extract(epoch FROM min(at) FILTER (WHERE kind = 'run.claimed')) AS claimed_at,
       extract(epoch FROM min(at) FILTER (WHERE kind = 'run.started')) AS started_at,
       extract(epoch FROM max(at) FILTER (WHERE kind = 'bead.closed')) AS closed_at
FROM events WHERE id > :last
"""
)
_QUIET = text("SELECT nudge_queued_at IS NULL FROM ticker")
_LAST_EVENT = text("SELECT coalesce(max(id), 0) FROM events")
_NOW = text("SELECT extract(epoch FROM clock_timestamp())")
_LOOK_SECONDS = 0.1
_PATIENCE = 120
"""Seconds until one bare chord counts as lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """How long one piece of work took on an idle system, in seconds from the moment it was ready or published."""

    to_start: float
    to_end: float


class WalkSide:
    """Beads of one role through the whole walk. All moments are those of the database's clock."""

    def __init__(self, system: System, check: Callable[[], None], role: str) -> None:
        self._system = system
        self._check = check
        self._role = role

    def many(self, count: int) -> float:
        """Return beads a second, from the first claim to the last closing."""
        _, story = self._walk(count)
        return count / float(story.closed_at - story.claimed_at)

    def single(self) -> Single:
        """Return the times of one bead, from just after the commit that made it ready."""
        self._await_quiet()
        ready_at, story = self._walk(1)
        return Single(to_start=float(story.started_at) - ready_at, to_end=float(story.closed_at) - ready_at)

    def _walk(self, count: int) -> tuple[float, Row[Any]]:
        """Make beads ready, wait until all are closed, and return when they were ready and what happened."""
        last = self._ask(_LAST_EVENT).scalar_one()
        self._system.store.imports.import_records(PROJECT, make_records(count, self._role))
        ready_at = float(self._ask(_NOW).scalar_one())
        self._system.results.nudge()
        wait_for(lambda: self._story(last).closed >= count, f"the end of {count} beads", look=_LOOK_SECONDS)
        story = self._story(last)
        if (story.closed, story.settled) != (count, count):
            raise BenchmarkError(f"of {count} beads {story.closed} were closed, by {story.settled} settled runs")
        return ready_at, story

    def _story(self, last: int) -> Row[Any]:
        self._check()
        return self._ask(_STORY, last=last).one()

    def _await_quiet(self) -> None:
        wait_for(lambda: self._ask(_QUIET).scalar_one(), "the end of the last tick that was asked for")

    def _ask(self, statement: TextClause, **parameters: Any) -> CursorResult[Any]:
        with self._system.store.engine.connect() as connection:
            return connection.execution_options(isolation_level="AUTOCOMMIT").execute(statement, parameters)


class BareSide:
    """Bare chords of one no-op, published one by one in a worker. All moments are those of the machine's clock."""

    def __init__(self, app: Celery, check: Callable[[], None]) -> None:
        self._app = app
        self._check = check

    def many(self, count: int) -> float:
        """Return chords a second, from the first publishing to the last body."""
        moments = self._publish(count)
        return count / (max(ended for _, _, ended in moments) - min(published for published, _, _ in moments))

    def single(self) -> Single:
        """Return the times of one chord, from just before its publishing."""
        ((published, started, ended),) = self._publish(1)
        return Single(to_start=started - published, to_end=ended - published)

    def _publish(self, count: int) -> list[tuple[float, float, float]]:
        """Return when each chord was published, started and ended; waiting for them costs one command each."""
        client = self._app.backend.client
        client.delete(DONE)
        self._app.send_task(PUBLISH, args=[count, role_queue(ROLE)], queue=CONTROL_QUEUE, ignore_result=True)
        return [self._next(client) for _ in range(count)]

    def _next(self, client: Any) -> tuple[float, float, float]:
        for _ in range(_PATIENCE):
            done = client.blpop(DONE, timeout=1)
            if done is not None:
                published, started, ended = map(float, done[1].split())
                return published, started, ended
            self._check()
        raise BenchmarkError(f"a bare chord did not end within {_PATIENCE} s")


def make_records(count: int, role: str) -> Sequence[BeadRecord]:
    """Return new beads that can go at once."""
    now = datetime.now(UTC)
    records = []
    for _ in range(count):
        bead = Bead(id=BeadId(f"bench-{uuid4().hex[:12]}"), title="Nothing", created_at=now)
        document = {"id": bead.id, "title": bead.title, "status": "open", "priority": bead.priority}
        records.append(BeadRecord(bead=bead, text=json.dumps(document), document=document, role_hint=role))
    return records
