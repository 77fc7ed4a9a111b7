"""What the guards of projects remember: the last readiness check, the row of failures, and what was spent."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from dispatch.models.guarding import CheckedReadiness, FailureRow, Readiness, RunSpending, Spent
from dispatch.models.identity import ProjectId
from dispatch.models.project import Project
from dispatch.models.run import Run
from dispatch.models.states import RunEvent, StopReason
from dispatch.readiness.breaker import cause_of, ends_row
from dispatch.store import guard, history, records, schema
from dispatch.store.engine import retrying
from dispatch.store.transaction import Transaction
from dispatch.store.units import Units
from dispatch.store.wishes import COUNT_WISH
from dispatch.store.written import NOW, written

_LENGTHEN_ROW = written(
    f"""
INSERT INTO failure_rows AS known (project_id, cause, failures, last_at) VALUES (:project, :cause, 1, {NOW})
ON CONFLICT (project_id) DO UPDATE SET cause = EXCLUDED.cause, last_at = EXCLUDED.last_at,
    failures = CASE WHEN known.cause = EXCLUDED.cause THEN known.failures + 1 ELSE 1 END
"""
)
_END_ROW = written("DELETE FROM failure_rows WHERE project_id = :project RETURNING *")
_FORGET_CHECK = written("DELETE FROM readiness WHERE project_id = :project")
_BEGIN_CHECKS = written(
    f"""
WITH begun AS (
    INSERT INTO readiness AS known (project_id, checking_until)
    SELECT id, {NOW} + CAST(:limit AS interval) FROM unnest(CAST(:projects AS text[])) AS wish(id)
    WHERE EXISTS (SELECT FROM projects WHERE projects.id = wish.id)
    ON CONFLICT (project_id) DO UPDATE SET checking_until = EXCLUDED.checking_until
    WHERE (known.checked_at IS NULL OR known.checked_at <= {NOW} - CAST(:fresh AS interval))
      AND (known.checking_until IS NULL OR known.checking_until <= {NOW})
    RETURNING project_id
)
SELECT projects.* FROM projects JOIN begun ON begun.project_id = projects.id ORDER BY projects.number
"""
)
_END_CHECK = written(
    f"""
WITH RECURSIVE waiting AS NOT MATERIALIZED (
    SELECT project_id, role_hint FROM beads
    WHERE project_id = :project AND status = 'open' AND NOT blocked AND dispatchable
),
hints (hint, number) AS (
    SELECT (SELECT role_hint FROM waiting ORDER BY role_hint LIMIT 1), 1
    UNION ALL
    SELECT (SELECT role_hint FROM waiting WHERE role_hint > hints.hint ORDER BY role_hint LIMIT 1), hints.number + 1
    FROM hints WHERE hints.hint IS NOT NULL AND hints.number < :most
)
UPDATE readiness SET ok = :ok, issues = CAST(:issues AS text[]), checked_at = {NOW}, checking_until = NULL,
    needed = ARRAY(SELECT hint FROM hints WHERE hint IS NOT NULL)
WHERE project_id = :project
"""
)
_MOST_HINTS = 100
"""Different role hints of a project's beads that a check looks at."""
_CHARGE = written(
    f"""
WITH whose AS (
    SELECT project_id, bead_id FROM runs WHERE id = :run
),
bead AS (
    SELECT beads.project_id, beads.id, beads.usd FROM beads
    JOIN whose ON whose.project_id = beads.project_id AND whose.bead_id = beads.id
    FOR UPDATE OF beads
),
before AS (
    SELECT runs.id, runs.project_id, runs.bead_id, runs.attempt, runs.role, runs.agent_id,
        GREATEST(CAST(:usd AS numeric) - runs.usd, 0) AS usd,
        GREATEST(CAST(:tokens_in AS bigint) - runs.tokens_in, 0) AS tokens_in,
        GREATEST(CAST(:tokens_out AS bigint) - runs.tokens_out, 0) AS tokens_out,
        bead.usd + GREATEST(CAST(:usd AS numeric) - runs.usd, 0) AS bead_usd,
        COALESCE(bead.usd + GREATEST(CAST(:usd AS numeric) - runs.usd, 0) >= CAST(:cap AS numeric), false) AS is_over,
        runs.state IN {guard.sources(schema.runs, RunEvent.ASK_TO_STOP)} AND runs.stop_reason IS NULL AS may_stop
    FROM runs JOIN bead ON bead.project_id = runs.project_id AND bead.id = runs.bead_id
    WHERE runs.id = :run
    FOR UPDATE OF runs
),
charged AS (
    UPDATE beads SET usd = before.bead_usd, refusal = CASE WHEN before.is_over THEN :refusal ELSE beads.refusal END
    FROM before WHERE beads.project_id = before.project_id AND beads.id = before.bead_id
),
noted AS (
    UPDATE runs SET usd = runs.usd + before.usd, tokens_in = runs.tokens_in + before.tokens_in,
        tokens_out = runs.tokens_out + before.tokens_out,
        stop_reason = CASE WHEN before.is_over AND before.may_stop THEN '{StopReason.BUDGET}' ELSE runs.stop_reason END
    FROM before WHERE runs.id = before.id
),
counted AS (
    INSERT INTO spending AS known (day, project_id, tokens_in, tokens_out, usd)
    SELECT CAST({NOW} AT TIME ZONE 'UTC' AS date), project_id, tokens_in, tokens_out, usd FROM before
    ON CONFLICT (day, project_id) DO UPDATE SET usd = known.usd + EXCLUDED.usd,
        tokens_in = known.tokens_in + EXCLUDED.tokens_in, tokens_out = known.tokens_out + EXCLUDED.tokens_out
),
told AS (
    INSERT INTO events (at, kind, project_id, bead_id, run_id, data)
    SELECT {NOW}, 'run.asked_to_stop', project_id, bead_id, id, jsonb_build_object(
        'attempt', attempt, 'role', role, 'agent', agent_id, 'reason', CAST('{StopReason.BUDGET}' AS text)
    )
    FROM before WHERE is_over AND may_stop
)
SELECT is_over FROM before
"""
)
_PAUSE = written("UPDATE ticker SET paused = :paused, pause_reason = :reason, wanted = wanted + 1")
_PAUSE_ROLE = written(
    "UPDATE ticker SET paused_roles = paused_roles || jsonb_build_object(CAST(:role AS text), CAST(:reason AS text)),"
    " wanted = wanted + 1"
)
_RESUME_ROLE = written("UPDATE ticker SET paused_roles = paused_roles - CAST(:role AS text), wanted = wanted + 1")
_SPENT = written("SELECT project_id, usd, tokens_in, tokens_out FROM spending WHERE day = CAST(:day AS date)")
_READINESS = written("SELECT * FROM readiness WHERE project_id = :project AND checked_at IS NOT NULL")


def note_outcome(tx: Transaction, run: Run, *, failing: bool) -> None:
    """Lengthen or end the row of failures of a settled run's project. `failing`: it has one.

    The caller holds the project's lock.
    """
    cause = cause_of(run.outcome)
    if cause is not None:
        tx.run(_LENGTHEN_ROW, project=run.project_id, cause=cause, now=tx.given)
    elif failing and ends_row(run.outcome):
        tx.run(_END_ROW, project=run.project_id)


def pause(tx: Transaction, paused: bool, reason: str) -> None:
    """Pause the whole system, or let it go on."""
    tx.run(_PAUSE, paused=paused, reason=reason if paused else "")
    history.add_event(tx, "system.paused" if paused else "system.resumed", reason=reason)


class GuardRecords:
    """The store as the guards of projects see it."""

    def __init__(self, units: Units) -> None:
        self._units = units

    def begin_checks(self, project_ids: Collection[ProjectId], *, fresh: timedelta, limit: timedelta) -> list[Project]:
        """Take it on to look at projects whose last look is older than `fresh`; return those that nobody else is at.

        Who takes longer than `limit` is no longer waited for.
        """
        with self._units.single() as tx:
            rows = tx.run(_BEGIN_CHECKS, projects=sorted(project_ids), fresh=fresh, limit=limit, now=tx.given)
        return [records.project(row) for row in rows]

    def end_check(self, project_id: ProjectId, readiness: Readiness) -> None:
        """Keep what a look found, with the role hints of the beads that wait at this moment."""
        with self._units.single() as tx:
            tx.run(
                _END_CHECK,
                project=project_id,
                ok=readiness.ok,
                issues=list(readiness.issues),
                most=_MOST_HINTS,
                now=tx.given,
            )

    def readiness(self, project_id: ProjectId) -> CheckedReadiness | None:
        """Return what the last look at a project found; None: there was none."""
        with self._units.read() as tx:
            row = tx.run_one(_READINESS, project=project_id)
        return _checked(row.ok, row.issues, row.needed, row.checked_at) if row is not None else None

    def close_breaker(self, project_id: ProjectId) -> FailureRow | None:
        """Forget the row of failures of a project, so that all its beads may go; return it, None when there was none.

        The next look at its readiness is due at once.
        """
        return retrying(lambda: self._close_breaker(project_id))

    def _close_breaker(self, project_id: ProjectId) -> FailureRow | None:
        with self._units.begin() as tx:
            tx.lock_project(project_id)
            row = tx.run_one(_END_ROW, project=project_id)
            tx.run(_FORGET_CHECK, project=project_id)
            tx.run(COUNT_WISH)
            if row is None:
                return None
            history.add_event(tx, "project.breaker_closed", project_id=project_id, cause=row.cause)
        return FailureRow(cause=row.cause, failures=row.failures, last_at=row.last_at)

    def set_paused(self, paused: bool, reason: str = "") -> None:
        """Pause the whole system (nothing is dispatched; what runs goes on), or let it go on."""
        with self._units.begin() as tx:
            pause(tx, paused, reason)

    def set_role_paused(self, role: str, paused: bool, reason: str = "") -> None:
        """Pause a role everywhere (no run of it begins; pending ones are taken back), or let it go on."""
        with self._units.begin() as tx:
            tx.run(_PAUSE_ROLE if paused else _RESUME_ROLE, role=role, reason=reason)
            history.add_event(tx, "role.paused" if paused else "role.resumed", role=role, reason=reason)

    def charge(self, spending: RunSpending) -> bool:
        """Add what a run used since it was charged last to its bead and its project's day; tell if the bead is over.

        Repeating it changes nothing: it is given the whole that the run used so far. Then a run that is under way is
        asked to stop.
        """
        with self._units.single() as tx:
            row = tx.run_one(
                _CHARGE,
                run=spending.run_id,
                usd=spending.spent.usd,
                tokens_in=spending.spent.tokens_in,
                tokens_out=spending.spent.tokens_out,
                cap=spending.bead_cap,
                refusal=spending.refusal,
                now=tx.given,
            )
        return bool(row is not None and row.is_over)

    def spent_on(self, moment: datetime) -> dict[ProjectId, Spent]:
        """Return what each project spent on the day of UTC of a moment."""
        with self._units.read() as tx:
            return {
                ProjectId(row.project_id): Spent(usd=row.usd, tokens_in=row.tokens_in, tokens_out=row.tokens_out)
                for row in tx.run(_SPENT, day=day_of(moment))
            }


def day_of(moment: datetime) -> str:
    """Return the day of UTC of a moment, as PostgreSQL takes it."""
    return moment.astimezone(UTC).date().isoformat()


def readiness_of(rows: Sequence[dict[str, Any]] | None) -> dict[ProjectId, CheckedReadiness]:
    """Rows of `readiness` that came as JSON; one that was only begun says nothing."""
    return {
        ProjectId(facts["project_id"]): _checked(
            facts["ok"], facts["issues"], facts["needed"], datetime.fromisoformat(facts["checked_at"])
        )
        for facts in rows or ()
        if facts["checked_at"] is not None
    }


def failing_of(rows: Sequence[dict[str, Any]] | None) -> dict[ProjectId, FailureRow]:
    """Rows of `failure_rows` that came as JSON."""
    return {
        ProjectId(facts["project_id"]): FailureRow(
            cause=facts["cause"], failures=facts["failures"], last_at=datetime.fromisoformat(facts["last_at"])
        )
        for facts in rows or ()
    }


def spent_of(rows: Sequence[tuple[str, str, int, int]] | None) -> dict[ProjectId, Spent]:
    """Rows of `spending` that came as JSON, the dollars as a text so that they stay exact."""
    return {
        ProjectId(project): Spent(usd=Decimal(usd), tokens_in=tokens_in, tokens_out=tokens_out)
        for project, usd, tokens_in, tokens_out in rows or ()
    }


def _checked(ok: bool, issues: Sequence[str], needed: Sequence[str], checked_at: datetime) -> CheckedReadiness:
    return CheckedReadiness(
        readiness=Readiness(ok=ok, issues=tuple(issues)), needed=frozenset(needed), checked_at=checked_at
    )
