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


def _each(table: str, name: str, condition: str) -> str:
    """Join to each row on the left its rows of a table, found by an index, however many the planner expects.

    `OFFSET 0` keeps it from another way. A planner that takes a project for small, as it does before it knows anything
    of a table, reads all of the project for each row; one that knows it for large reads it whole, once a join.
    """
    return f"CROSS JOIN LATERAL (SELECT * FROM {table} WHERE project_id = :project AND {condition} OFFSET 0) {name}"


_RECOMPUTE_BLOCKED = text(
    f"""
WITH RECURSIVE
changed AS (SELECT unnest(CAST(:ids AS text[])) AS id),
touched AS (
    SELECT id FROM changed
    UNION
    SELECT edge.issue_id FROM changed {_each("dependencies", "edge", "depends_on_id = changed.id")}
    WHERE edge.type = ANY (:blocking_or_waiting)
    UNION
    SELECT wait.issue_id
    FROM changed {_each("dependencies", "parent", "issue_id = changed.id AND type = :parent")}
    {_each("dependencies", "wait", "depends_on_id = parent.depends_on_id AND type = :waits_for")}
),
scope AS (
    SELECT id FROM touched
    UNION
    SELECT edge.issue_id FROM scope {_each("dependencies", "edge", "depends_on_id = scope.id AND type = :parent")}
),
members AS (
    SELECT bead.id, bead.blocked, {_DONE.format("bead")} AS done FROM scope {_each("beads", "bead", "id = scope.id")}
),
held_from_outside AS (
    SELECT member.id FROM members member
    {_each("dependencies", "edge", "issue_id = member.id AND type = :parent")}
    {_each("beads", "parent", "id = edge.depends_on_id")}
    LEFT JOIN scope ON scope.id = parent.id
    WHERE parent.blocked AND scope.id IS NULL
),
seeds AS (
    SELECT member.id FROM members member
    WHERE NOT member.done AND (
        EXISTS (
            SELECT FROM dependencies edge {_each("beads", "target", "id = edge.depends_on_id")}
            WHERE edge.project_id = :project AND edge.issue_id = member.id AND edge.type = ANY (:blocking)
              AND NOT {_DONE.format("target")}
            OFFSET 0
        )
        OR EXISTS (
            SELECT FROM dependencies edge {_each("beads", "target", "id = edge.depends_on_id")}
            WHERE edge.project_id = :project AND edge.issue_id = member.id AND edge.type = :waits_for
              AND EXISTS (
                SELECT FROM dependencies kin {_each("beads", "child", "id = kin.issue_id")}
                WHERE kin.project_id = :project AND kin.depends_on_id = target.id AND kin.type = :parent
                  AND NOT {_DONE.format("child")}
                OFFSET 0
              )
              AND NOT (
                edge.metadata LIKE '%"any-children"%'
                AND EXISTS (
                    SELECT FROM dependencies kin {_each("beads", "child", "id = kin.issue_id")}
                    WHERE kin.project_id = :project AND kin.depends_on_id = target.id AND kin.type = :parent
                      AND child.status = 'closed'
                    OFFSET 0
                )
              )
            OFFSET 0
        )
        OR member.id IN (SELECT id FROM held_from_outside)
    )
),
spread AS (
    SELECT id FROM seeds
    UNION
    SELECT member.id FROM spread {_each("dependencies", "edge", "depends_on_id = spread.id AND type = :parent")}
    JOIN members member ON member.id = edge.issue_id
    WHERE NOT member.done
),
turned AS (
    SELECT members.id FROM members LEFT JOIN spread ON spread.id = members.id
    WHERE members.blocked <> (spread.id IS NOT NULL)
)
UPDATE beads SET blocked = NOT beads.blocked,
    ready_since = CASE WHEN beads.blocked THEN :moment ELSE beads.ready_since END
WHERE beads.project_id = :project AND beads.id = ANY (ARRAY(SELECT id FROM turned))
RETURNING beads.id, beads.blocked
"""
)

_RECOMPUTE_DEFERRED = text(
    f"""
WITH asked AS (SELECT unnest(CAST(:ids AS text[])) AS id),
affected AS (
    SELECT id FROM asked
    UNION
    SELECT edge.issue_id FROM asked {_each("dependencies", "edge", "depends_on_id = asked.id AND type = :parent")}
),
latest AS (
    SELECT bead.id, bead.defer_from AS known, GREATEST(bead.defer_until, (
        SELECT max(parent.defer_until) FROM dependencies edge {_each("beads", "parent", "id = edge.depends_on_id")}
        WHERE edge.project_id = :project AND edge.issue_id = bead.id AND edge.type = :parent
    )) AS defer_from
    FROM affected {_each("beads", "bead", "id = affected.id")}
),
turned AS (SELECT id, defer_from FROM latest WHERE known IS DISTINCT FROM defer_from)
UPDATE beads SET defer_from = (SELECT turned.defer_from FROM turned WHERE turned.id = beads.id)
WHERE beads.project_id = :project AND beads.id = ANY (ARRAY(SELECT id FROM turned))
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
