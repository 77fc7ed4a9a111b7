"""Beads that ask for a role which nobody serves, and have waited long enough for it.

Which roles are asked for is read by jumps through the dispatch index, from one role to the next, and of each only the
first beads are looked at: the cost is that of the number of roles, not of the backlog.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from dispatch.models.agent import LOCAL_POOL
from dispatch.models.dispatching import Lane
from dispatch.store.transaction import Transaction
from dispatch.store.written import written

MOST_ROLES = 100
"""Of a project that are looked at, in the order of their names; beads of the others wait until some of these went."""
LOOKED_AT = 50
"""Beads of a role that are looked at, those first in dispatch order: others may have waited longer."""
_OPEN = "beads.status = 'open' AND NOT beads.blocked AND beads.dispatchable"

_UNSERVED = written(
    f"""
WITH RECURSIVE lane AS (
    SELECT * FROM unnest(CAST(:projects AS text[]), CAST(:limits AS int[]), CAST(:caps AS numeric[]))
        WITH ORDINALITY AS lane(project_id, size, bead_cap, number)
),
asked(project_id, hint, jumps) AS (
    SELECT project_id, '', 0 FROM lane
    UNION ALL
    SELECT asked.project_id, next.hint, asked.jumps + 1
    FROM asked CROSS JOIN LATERAL (
        SELECT beads.role_hint AS hint FROM beads
        WHERE beads.project_id = asked.project_id AND beads.role_hint > asked.hint AND {_OPEN}
        ORDER BY beads.role_hint LIMIT 1
    ) AS next
    WHERE asked.jumps < {MOST_ROLES}
),
forsaken AS MATERIALIZED (
    SELECT lane.number, lane.project_id, lane.size, lane.bead_cap, asked.hint FROM asked JOIN lane USING (project_id)
    WHERE asked.hint <> ALL (CAST(:answered AS text[]))
      AND NOT EXISTS (
          SELECT FROM incarnations
          WHERE incarnations.heartbeat_at > :waiting_since AND incarnations.pool <> '{LOCAL_POOL}'
            AND asked.hint = ANY (incarnations.roles)
      )
      AND EXISTS (
          SELECT FROM incarnations
          WHERE NOT incarnations.gone AND incarnations.agents > 0 AND incarnations.heartbeat_at > :alive_since
            AND incarnations.started_at <= :here_since
      )
)
SELECT forsaken.number, bead.*
FROM forsaken CROSS JOIN LATERAL (
    SELECT * FROM (
        SELECT * FROM beads
        WHERE beads.project_id = forsaken.project_id AND beads.role_hint = forsaken.hint AND {_OPEN}
        ORDER BY beads.priority, beads.created_at, beads.id
        LIMIT {LOOKED_AT}
    ) AS first
    WHERE first.ready_since <= :waiting_since AND (first.defer_from IS NULL OR first.defer_from <= :waiting_since)
      AND (first.ready_from IS NULL OR first.ready_from <= :moment)
      AND (forsaken.bead_cap IS NULL OR first.usd < forsaken.bead_cap)
    ORDER BY first.priority, first.created_at, first.id
    LIMIT forsaken.size
) AS bead
ORDER BY bead.priority, bead.created_at, bead.id
"""
)


def unserved(
    tx: Transaction,
    moment: datetime,
    lanes: Sequence[Lane],
    *,
    answered: Collection[str],
    patience: timedelta,
    lease: timedelta,
) -> list[Any]:
    """Return rows of beads that ask for none of the `answered` roles and waited for theirs for `patience`.

    A bead that failed has waited already: it goes again after its cooldown.

    They are those of the projects of `lanes`, one lane each, and of each role at most the lane's limit; `number` is
    the lane's, from 1. A role that was served less than `patience` ago may come back, and those of a fleet that began
    less than a lease ago may be on their way: both are waited for.
    """
    if not lanes:
        return []
    return tx.run(
        _UNSERVED,
        projects=[lane.project_id for lane in lanes],
        limits=[lane.limit for lane in lanes],
        caps=[lane.bead_cap for lane in lanes],
        answered=sorted(answered),
        moment=moment,
        waiting_since=moment - patience,
        alive_since=moment - lease,
        here_since=moment - min(patience, lease),
    )
