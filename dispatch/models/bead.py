"""A bead: one work item, and the edges between beads. Source: `docs/beads.md` for the file format."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from dispatch.models.identity import BeadId, BeadKey, ProjectId
from dispatch.models.progress import NO_COMMITS, CommitRange
from dispatch.models.routing import UNCLEAR_BUG
from dispatch.models.states import BeadStatus

NEVER_READY_TYPES = frozenset({"merge-request", "gate", "molecule", "message", "agent", "role", "rig"})
"""Issue types that the tracker itself never lists as ready."""
NEVER_DISPATCHED_TYPES = NEVER_READY_TYPES | {"decision", "epic", "event"}
"""Issue types that no agent is ever given."""
HUMAN_LABELS = frozenset({"requires-human-config", "human"})
"""Labels that reserve a bead for a human."""

_NO_PROJECT = ProjectId("")

DONE_STATUSES = frozenset({BeadStatus.CLOSED, BeadStatus.PINNED, BeadStatus.TOMBSTONE})
"""A bead in one of these is never blocked and never blocks another."""

BLOCKS_TYPES = frozenset({"blocks", "conditional-blocks"})
DISCOVERED_TYPE = "discovered-from"
"""The edge of a bead to the one whose work brought it to light, or whose part it is: it only informs."""
PARENT_TYPE = "parent-child"
WAITS_FOR_TYPE = "waits-for"
READINESS_TYPES = BLOCKS_TYPES | {PARENT_TYPE, WAITS_FOR_TYPE}
"""Edge types that can keep a bead from being ready; all others only inform."""

DEFAULT_PRIORITY = 2
"""Of a newly created bead. A bead that is imported without a priority has 0."""
MAX_TITLE = 500
"""Characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """An edge: `issue_id` waits for (or is otherwise related to) `depends_on_id`, which may not exist.

    In a `parent-child` edge `depends_on_id` is the parent. `metadata` is the JSON text of the edge, as the file
    format has it; only `{"gate": "any-children"}` of `waits-for` edges means something here.
    """

    issue_id: BeadId
    depends_on_id: BeadId
    type: str = "blocks"
    metadata: str = ""

    @property
    def any_child_releases(self) -> bool:
        return self.type == WAITS_FOR_TYPE and '"any-children"' in self.metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Bead:
    """A work item as dispatch sees it. Only `id` and `title` are needed to build one in memory.

    `priority` runs from 0 (highest) to 4. `blocked` and `ready_from` are kept by the store under every change;
    `head_sha` is the commit that holds the bead's accepted work, `hops` the runs that count against the hop limit and
    `failures` the failed runs in a row.
    """

    id: BeadId
    title: str
    project_id: ProjectId = _NO_PROJECT
    description: str = ""
    status: str = BeadStatus.OPEN
    priority: int = DEFAULT_PRIORITY
    issue_type: str = "task"
    assignee: str = ""
    labels: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    closed_at: datetime | None = None
    close_reason: str = ""
    defer_until: datetime | None = None
    pinned: bool = False
    ephemeral: bool = False
    role_hint: str = ""
    """The role that the bead goes to; empty: the project's default. `UNCLEAR_BUG`: QA's if that is served."""
    role_reason: str = ""
    """How that role was found, in one sentence; empty when the bead says nothing about it."""
    role_problem: str = ""
    """What is wrong with the wish of the bead, and what to do; empty when nothing is."""
    ready_since: datetime | None = None
    """When it was first there for an agent of its role to take, deferral and cooldown aside."""
    blocked: bool = False
    ready_from: datetime | None = None
    hold: str = ""
    """Who cancelled it, and why: until somebody lets it go on, no agent is given it. Empty: it is not on hold."""
    refusal: str = ""
    """Why the last tick that looked at the bead did not dispatch it, in one sentence."""
    head_sha: str | None = None
    hops: int = 0
    failures: int = 0
    usd: Decimal = Decimal(0)
    """What its runs have cost so far, in dollars."""
    commits: CommitRange = NO_COMMITS
    """The commits that its agents made and that were not on the target branch when its last run ended."""
    triaged_at: datetime | None = None
    """When it last went to triage, because two agents had passed it to and fro."""
    workflow: str = ""
    """The workflow that it is in, or is to begin."""
    node: str = ""
    """Where it is in its workflow; `done` while its work lands."""
    step_size: int = 1
    """How many runs its next step has: more than one where a node of its workflow asks for several reviewers."""
    step_reads: bool = False
    """Whether those runs only look at the work."""
    node_timeout: timedelta | None = None
    """The limit that the node of its workflow sets for its runs."""
    hop_allowance: int = 0
    """By so many runs its limit is higher than that of others: a human let it go on after them."""

    @property
    def key(self) -> BeadKey:
        return BeadKey(self.project_id, self.id)

    @property
    def wanted_role(self) -> str:
        """The role that the bead names, or that its evidence does; empty when there is none."""
        return "" if self.role_hint == UNCLEAR_BUG else self.role_hint

    @property
    def is_done(self) -> bool:
        return self.pinned or self.status in DONE_STATUSES
