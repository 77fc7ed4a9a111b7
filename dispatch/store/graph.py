"""Readiness, kept in the row: who is blocked, and from when a bead may go.

Called inside the transaction that made the change, under the project's lock, in statements of their own (PROTOCOL,
rules 4 and 5). The cost is that of the part of the graph a change can reach, not of the project. The rules are those of
`docs/beads.md`, "Blocked" and "Ready".
"""

from collections.abc import Iterable

from sqlalchemy import text

from dispatch.models.bead import BLOCKS_TYPES, DONE_STATUSES, PARENT_TYPE, WAITS_FOR_TYPE
from dispatch.models.identity import BeadId, ProjectId
from dispatch.store.transaction import Transaction

_DONE = "({0}.pinned OR {0}.status = ANY (:done))"

_RECOMPUTE_BLOCKED = text(
    f"""
WITH RECURSIVE
changed AS (SELECT unnest(CAST(:ids AS text[])) AS id),
touched AS (
    SELECT id FROM changed
    UNION
    SELECT edge.issue_id FROM dependencies edge JOIN changed ON edge.depends_on_id = changed.id
    WHERE edge.project_id = :project AND edge.type = ANY (:blocking_or_waiting)
    UNION
    SELECT wait.issue_id
    FROM dependencies parent
    JOIN changed ON parent.issue_id = changed.id
    JOIN dependencies wait ON wait.project_id = :project AND wait.depends_on_id = parent.depends_on_id
    WHERE parent.project_id = :project AND parent.type = :parent AND wait.type = :waits_for
),
scope AS (
    SELECT id FROM touched
    UNION
    SELECT edge.issue_id FROM scope
    JOIN dependencies edge ON edge.project_id = :project AND edge.depends_on_id = scope.id AND edge.type = :parent
),
members AS (
    SELECT bead.id, {_DONE.format("bead")} AS done
    FROM scope JOIN beads bead ON bead.project_id = :project AND bead.id = scope.id
),
seeds AS (
    SELECT member.id FROM members member
    WHERE NOT member.done AND (
        EXISTS (
            SELECT FROM dependencies edge
            JOIN beads target ON target.project_id = :project AND target.id = edge.depends_on_id
            WHERE edge.project_id = :project AND edge.issue_id = member.id AND edge.type = ANY (:blocking)
              AND NOT {_DONE.format("target")}
        )
        OR EXISTS (
            SELECT FROM dependencies edge
            JOIN beads target ON target.project_id = :project AND target.id = edge.depends_on_id
            WHERE edge.project_id = :project AND edge.issue_id = member.id AND edge.type = :waits_for
              AND EXISTS (
                SELECT FROM dependencies kin
                JOIN beads child ON child.project_id = :project AND child.id = kin.issue_id
                WHERE kin.project_id = :project AND kin.depends_on_id = target.id AND kin.type = :parent
                  AND NOT {_DONE.format("child")}
              )
              AND NOT (
                edge.metadata LIKE '%"any-children"%'
                AND EXISTS (
                    SELECT FROM dependencies kin
                    JOIN beads child ON child.project_id = :project AND child.id = kin.issue_id
                    WHERE kin.project_id = :project AND kin.depends_on_id = target.id AND kin.type = :parent
                      AND child.status = 'closed'
                )
              )
        )
        OR EXISTS (
            SELECT FROM dependencies edge
            JOIN beads parent ON parent.project_id = :project AND parent.id = edge.depends_on_id
            WHERE edge.project_id = :project AND edge.issue_id = member.id AND edge.type = :parent
              AND parent.blocked AND NOT EXISTS (SELECT FROM scope WHERE scope.id = parent.id)
        )
    )
),
spread AS (
    SELECT id FROM seeds
    UNION
    SELECT member.id FROM spread
    JOIN dependencies edge ON edge.project_id = :project AND edge.depends_on_id = spread.id AND edge.type = :parent
    JOIN members member ON member.id = edge.issue_id
    WHERE NOT member.done
)
UPDATE beads SET blocked = NOT beads.blocked,
    ready_since = CASE WHEN beads.blocked THEN :moment ELSE beads.ready_since END
FROM members LEFT JOIN spread ON spread.id = members.id
WHERE beads.project_id = :project AND beads.id = members.id AND beads.blocked <> (spread.id IS NOT NULL)
RETURNING beads.id, beads.blocked
"""
)

_RECOMPUTE_DEFERRED = text(
    """
WITH affected AS (
    SELECT unnest(CAST(:ids AS text[])) AS id
    UNION
    SELECT issue_id FROM dependencies
    WHERE project_id = :project AND depends_on_id = ANY (CAST(:ids AS text[])) AND type = :parent
),
latest AS (
    SELECT bead.id, GREATEST(bead.defer_until, (
        SELECT max(parent.defer_until) FROM dependencies edge
        JOIN beads parent ON parent.project_id = :project AND parent.id = edge.depends_on_id
        WHERE edge.project_id = :project AND edge.issue_id = bead.id AND edge.type = :parent
    )) AS defer_from
    FROM affected JOIN beads bead ON bead.project_id = :project AND bead.id = affected.id
)
UPDATE beads SET defer_from = latest.defer_from FROM latest
WHERE beads.project_id = :project AND beads.id = latest.id AND beads.defer_from IS DISTINCT FROM latest.defer_from
"""
)


def recompute_blocked(tx: Transaction, project_id: ProjectId, ids: Iterable[BeadId]) -> dict[BeadId, bool]:
    """Bring `blocked` up to date after `ids` changed their status or edges; return the beads whose flag turned.

    After an edge was removed, its former target belongs to `ids` too.
    """
    rows = tx.connection.execute(
        _RECOMPUTE_BLOCKED,
        {
            "project": project_id,
            "ids": list(ids),
            "done": sorted(DONE_STATUSES),
            "blocking": sorted(BLOCKS_TYPES),
            "blocking_or_waiting": sorted(BLOCKS_TYPES | {WAITS_FOR_TYPE}),
            "parent": PARENT_TYPE,
            "waits_for": WAITS_FOR_TYPE,
            "moment": tx.moment(),
        },
    )
    return {BeadId(row.id): row.blocked for row in rows}


def recompute_deferred(tx: Transaction, project_id: ProjectId, ids: Iterable[BeadId]) -> None:
    """Bring `defer_from` up to date after `ids` changed their `defer_until` or their parents."""
    tx.connection.execute(_RECOMPUTE_DEFERRED, {"project": project_id, "ids": list(ids), "parent": PARENT_TYPE})
