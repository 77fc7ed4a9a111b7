"""The tables. Every state column is written only through a guarded update (`store.guard`).

Two columns of `beads` keep readiness in the row: `blocked`, which `store.graph` recomputes under the project's lock,
and `ready_from`, the latest of the bead's own and its parents' `defer_until` and its cooldown. The partial index
`beads_dispatch` holds exactly what a tick may look at.
"""

from sqlalchemy import (
    ARRAY,
    JSON,
    TIMESTAMP,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

from dispatch.models.bead import HUMAN_LABELS, NEVER_DISPATCHED_TYPES
from dispatch.models.states import OPEN_RUN_STATES, AgentState, RunState, StepState

METADATA = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_name)s_idx",
    }
)

_INSTANT = TIMESTAMP(timezone=True)


def _quoted(values: frozenset[str] | frozenset[RunState]) -> str:
    return ", ".join(f"'{value}'" for value in sorted(values))


_OPEN_RUNS = f"state IN ({_quoted(OPEN_RUN_STATES)})"
_DISPATCHABLE = (
    "NOT pinned AND NOT ephemeral AND hold = '' AND turn IN ('', 'agent')"
    f" AND issue_type <> ALL (ARRAY[{_quoted(NEVER_DISPATCHED_TYPES)}]::text[])"
    f" AND NOT labels && ARRAY[{_quoted(HUMAN_LABELS)}]::text[]"
)

projects = Table(
    "projects",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("number", Integer, Identity(always=True), nullable=False, unique=True),
    Column("path", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("pause_reason", Text, nullable=False, server_default=""),
    Column("landing_asked_at", _INSTANT),
    Column("routed_by", Text, nullable=False, server_default=""),
    Column("created_at", _INSTANT, nullable=False),
)

beads = Table(
    "beads",
    METADATA,
    Column("project_id", Text, ForeignKey("projects.id"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    Column("title", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("issue_type", Text, nullable=False),
    Column("assignee", Text, nullable=False, server_default=""),
    Column("labels", ARRAY(Text), nullable=False, server_default="{}"),
    Column("created_at", _INSTANT, nullable=False),
    Column("updated_at", _INSTANT),
    Column("closed_at", _INSTANT),
    Column("close_reason", Text, nullable=False, server_default=""),
    Column("defer_until", _INSTANT),
    Column("pinned", Boolean, nullable=False, server_default=text("false")),
    Column("ephemeral", Boolean, nullable=False, server_default=text("false")),
    Column("document", Text, nullable=False),
    Column("changes", JSON(none_as_null=True), nullable=False, server_default="{}"),
    Column("role_hint", Text, nullable=False, server_default=""),
    Column("role_reason", Text, nullable=False, server_default=""),
    Column("role_problem", Text, nullable=False, server_default=""),
    Column("ready_since", _INSTANT, nullable=False, server_default=text("now()")),
    Column("timeout_seconds", Double),
    Column("blocked", Boolean, nullable=False, server_default=text("false")),
    Column("defer_from", _INSTANT),
    Column("cooldown_until", _INSTANT),
    Column("ready_from", _INSTANT, Computed("GREATEST(defer_from, cooldown_until)", persisted=True)),
    Column("dispatchable", Boolean, Computed(_DISPATCHABLE, persisted=True)),
    Column("hold", Text, nullable=False, server_default=""),
    Column("refusal", Text, nullable=False, server_default=""),
    Column("head_sha", Text),
    Column("landing_from", _INSTANT),
    Column("hops", Integer, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("closed_by_us", Boolean, nullable=False, server_default=text("false")),
    Column("usd", Numeric, nullable=False, server_default="0"),
    Column("commit_first", Text),
    Column("commit_last", Text),
    Column("commit_count", Integer, nullable=False, server_default="0"),
    Column("triaged_at", _INSTANT),
    Column("triaged_from", Text),
    Column("hop_allowance", Integer, nullable=False, server_default="0"),
    Column("advised", Boolean, nullable=False, server_default=text("false")),
    Column("workflow", Text, nullable=False, server_default=""),
    Column("node", Text, nullable=False, server_default=""),
    Column("turn", Text, nullable=False, server_default=""),
    Column("step_size", SmallInteger, nullable=False, server_default="1"),
    Column("step_reads", Boolean, nullable=False, server_default=text("false")),
    Column("node_timeout_seconds", Double),
    CheckConstraint("priority BETWEEN 0 AND 4", name="priority"),
    Index(
        "beads_dispatch",
        "project_id",
        "role_hint",
        "priority",
        "created_at",
        "id",
        postgresql_where=text("status = 'open' AND NOT blocked AND dispatchable"),
    ),
    Index("beads_id", "id"),
    Index("beads_landing", "project_id", postgresql_where=text("status = 'landing'")),
    Index("beads_turn", "project_id", "id", postgresql_where=text("status = 'open' AND turn IN ('engine', 'human')")),
    Index("beads_role_problem", "project_id", "id", postgresql_where=text("role_problem <> ''")),
)

decisions = Table(
    "decisions",
    METADATA,
    Column("project_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("bead_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("returned_to", Text),
    Column("facts", JSONB, nullable=False, server_default="{}"),
    Column("offer", JSONB, nullable=False),
    Column("opened_at", _INSTANT, nullable=False),
    Column("announced_at", _INSTANT, nullable=False),
    Column("announcements", SmallInteger, nullable=False, server_default="0"),
    Column("ruled_at", _INSTANT),
    Column("ruling", JSONB(none_as_null=True)),
    CheckConstraint("(ruled_at IS NULL) = (ruling IS NULL)", name="ruled"),
    ForeignKeyConstraint(["project_id", "id"], ["beads.project_id", "beads.id"], name="decisions_project_id_id_fkey"),
    ForeignKeyConstraint(
        ["project_id", "bead_id"], ["beads.project_id", "beads.id"], name="decisions_project_id_bead_id_fkey"
    ),
    Index("decisions_of_bead", "project_id", "bead_id", "opened_at"),
    Index("decisions_one_open", "project_id", "bead_id", unique=True, postgresql_where=text("ruled_at IS NULL")),
)

pull_requests = Table(
    "pull_requests",
    METADATA,
    Column("project_id", Text, primary_key=True),
    Column("bead_id", Text, primary_key=True),
    Column("branch", Text, nullable=False),
    Column("base", Text, nullable=False),
    Column("head_sha", Text, nullable=False),
    Column("pushed_sha", Text, nullable=False),
    Column("tip_sha", Text, nullable=False),
    Column("replaced_sha", Text),
    Column("is_pushed", Boolean, nullable=False, server_default=text("false")),
    Column("seen_sha", Text),
    Column("is_gone", Boolean, nullable=False, server_default=text("false")),
    Column("url", Text, nullable=False, server_default=""),
    Column("command", Text, nullable=False, server_default=""),
    Column("problem", Text, nullable=False, server_default=""),
    Column("asked_at", _INSTANT),
    Column("ended", Text, nullable=False, server_default=""),
    Column("changed_at", _INSTANT, nullable=False),
    ForeignKeyConstraint(["project_id", "bead_id"], ["beads.project_id", "beads.id"]),
)

executions = Table(
    "executions",
    METADATA,
    Column("project_id", Text, primary_key=True),
    Column("bead_id", Text, primary_key=True),
    Column("definition", JSONB, nullable=False),
    Column("node", Text, nullable=False),
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    Column("cycles", SmallInteger, nullable=False, server_default="0"),
    Column("visited", ARRAY(Text), nullable=False, server_default="{}"),
    Column("writer", Text, nullable=False, server_default=""),
    Column("reviews", JSONB, nullable=False, server_default="[]"),
    Column("started_at", _INSTANT, nullable=False),
    Column("entered_at", _INSTANT, nullable=False),
    Column("due_at", _INSTANT),
    Column("ended_at", _INSTANT),
    ForeignKeyConstraint(["project_id", "bead_id"], ["beads.project_id", "beads.id"]),
    Index("executions_due", "due_at", postgresql_where=text("due_at IS NOT NULL AND ended_at IS NULL")),
)

memories = Table(
    "memories",
    METADATA,
    Column("project_id", Text, ForeignKey("projects.id"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    Column("document", Text, nullable=False),
    Column("ours", Text),
    Column("forgotten", Boolean, nullable=False, server_default=text("false")),
    Column("changed_at", _INSTANT, nullable=False, server_default=text("now()")),
)

sessions = Table(
    "sessions",
    METADATA,
    Column("project_id", Text, primary_key=True),
    Column("bead_id", Text, primary_key=True),
    Column("runner", Text, nullable=False, server_default=""),
    Column("role", Text, nullable=False, server_default=""),
    Column("external_id", Text, nullable=False, server_default=""),
    Column("host", Text, nullable=False, server_default=""),
    Column("turns", JSONB, nullable=False, server_default="[]"),
    Column("started_at", _INSTANT, nullable=False),
    Column("updated_at", _INSTANT, nullable=False),
    Column("expires_at", _INSTANT, nullable=False),
    ForeignKeyConstraint(["project_id", "bead_id"], ["beads.project_id", "beads.id"]),
    Index("sessions_expiry", "expires_at"),
)

dependencies = Table(
    "dependencies",
    METADATA,
    Column("project_id", Text, primary_key=True),
    Column("issue_id", Text, primary_key=True),
    Column("depends_on_id", Text, primary_key=True),
    Column("type", Text, primary_key=True),
    Column("metadata", Text, nullable=False, server_default=""),
    Column("ours", JSONB(none_as_null=True)),
    ForeignKeyConstraint(["project_id", "issue_id"], ["beads.project_id", "beads.id"]),
    Index("dependencies_target", "project_id", "depends_on_id", "type", "issue_id"),
)

steps = Table(
    "steps",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("bead_id", Text, nullable=False),
    Column("size", SmallInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", _INSTANT, nullable=False),
    Column("joined_at", _INSTANT),
    ForeignKeyConstraint(["project_id", "bead_id"], ["beads.project_id", "beads.id"]),
    Index(
        "steps_one_open",
        "project_id",
        "bead_id",
        unique=True,
        postgresql_where=text(f"state = '{StepState.OPEN}'"),
    ),
)

incarnations = Table(
    "incarnations",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("node", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("queues", ARRAY(Text), nullable=False),
    Column("roles", ARRAY(Text), nullable=False),
    Column("agents", SmallInteger, nullable=False),
    Column("pool", Text, nullable=False),
    Column("started_at", _INSTANT, nullable=False),
    Column("heartbeat_at", _INSTANT, nullable=False),
    Column("stopping", Boolean, nullable=False, server_default=text("false")),
    Column("gone", Boolean, nullable=False, server_default=text("false")),
    Column("trouble", Text, nullable=False, server_default=""),
    Index("incarnations_live", "heartbeat_at", postgresql_where=text("NOT gone")),
    Index("incarnations_heard", "heartbeat_at"),
)

agents = Table(
    "agents",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("incarnation_id", Uuid, ForeignKey("incarnations.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("last_used_at", _INSTANT),
    Index("agents_live", "incarnation_id", postgresql_where=text(f"state <> '{AgentState.GONE}'")),
)

runs = Table(
    "runs",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("step_id", Uuid, ForeignKey("steps.id"), nullable=False),
    Column("position", SmallInteger, nullable=False),
    Column("project_id", Text, nullable=False),
    Column("bead_id", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("timeout_seconds", Double, nullable=False),
    Column("writes_branch", Boolean, nullable=False),
    Column("state", Text, nullable=False),
    Column("stop_reason", Text),
    Column("agent_id", Uuid, ForeignKey("agents.id")),
    Column("agent_name", Text, nullable=False, server_default=""),
    Column("incarnation_id", Uuid, ForeignKey("incarnations.id")),
    Column("token", Uuid),
    Column("outcome", JSONB(none_as_null=True)),
    Column("base_sha", Text),
    Column("commit_sha", Text),
    Column("commit_first", Text),
    Column("commit_count", Integer, nullable=False, server_default="0"),
    Column("publishes", SmallInteger, nullable=False, server_default="0"),
    Column("settle_failures", SmallInteger, nullable=False, server_default="0"),
    Column("created_at", _INSTANT, nullable=False),
    Column("published_at", _INSTANT),
    Column("started_at", _INSTANT),
    Column("deadline_at", _INSTANT),
    Column("lease_until", _INSTANT),
    Column("reported_at", _INSTANT),
    Column("settled_at", _INSTANT),
    Column("host", Text),
    Column("boot_id", Text),
    Column("process_group", Integer),
    Column("process_started", Double),
    Column("tokens_in", BigInteger, nullable=False, server_default="0"),
    Column("tokens_out", BigInteger, nullable=False, server_default="0"),
    Column("usd", Numeric, nullable=False, server_default="0"),
    Column("provider", Text, nullable=False, server_default=""),
    ForeignKeyConstraint(["project_id", "bead_id"], ["beads.project_id", "beads.id"]),
    Index("runs_step_position", "step_id", "position", unique=True),
    Index("runs_one_open_an_agent", "agent_id", unique=True, postgresql_where=text(_OPEN_RUNS)),
    Index("runs_open", "state", "role", postgresql_where=text(_OPEN_RUNS)),
    Index("runs_of_bead", "project_id", "bead_id", "created_at"),
)

lessons = Table(
    "lessons",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("project_id", Text, ForeignKey("projects.id"), nullable=False),
    Column("category", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("bead_id", Text),
    Column("agent_id", Text, nullable=False, server_default=""),
    Column("run_id", Uuid),
    Column("fingerprint", Text, nullable=False),
    Column("created_at", _INSTANT, nullable=False),
    Column("confirmed_at", _INSTANT, nullable=False),
    Column("forgotten_at", _INSTANT),
    Column(
        "words",
        TSVECTOR,
        Computed(
            "setweight(to_tsvector('english'::regconfig, regexp_replace(title, '[^[:alnum:]]+', ' ', 'g')), 'A')"
            " || setweight(to_tsvector('english'::regconfig, regexp_replace(detail, '[^[:alnum:]]+', ' ', 'g')), 'B')",
            persisted=True,
        ),
    ),
    Index("lessons_same", "project_id", "fingerprint", unique=True),
    Index("lessons_told", "project_id", "confirmed_at", postgresql_where=text("forgotten_at IS NULL")),
    Index("lessons_words", "words", postgresql_using="gin"),
)

run_lessons = Table(
    "run_lessons",
    METADATA,
    Column("run_id", Uuid, ForeignKey("runs.id"), primary_key=True),
    Column("lesson_id", BigInteger, ForeignKey("lessons.id"), primary_key=True),
)

actions = Table(
    "actions",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("run_id", Uuid, ForeignKey("runs.id"), nullable=False),
    Column("at", _INSTANT, nullable=False),
    Column("agent_id", Uuid),
    Column("action_type", Text, nullable=False),
    Column("action_data", JSON, nullable=False),
    Column("result_hash", Text, nullable=False),
    Column("progress_key", Text, nullable=False),
    Index("actions_of_run", "run_id", "id"),
)

errors = Table(
    "errors",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("bead_id", Text, nullable=False),
    Column("run_id", Uuid, ForeignKey("runs.id")),
    Column("at", _INSTANT, nullable=False),
    Column("error", Text, nullable=False),
    Column("dispatch", Integer, nullable=False),
    Index("errors_of_bead", "project_id", "bead_id", "id"),
)

events = Table(
    "events",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", _INSTANT, nullable=False),
    Column("kind", Text, nullable=False),
    Column("project_id", Text),
    Column("bead_id", Text),
    Column("run_id", Uuid),
    Column("data", JSONB, nullable=False, server_default="{}"),
    Index("events_of_bead", "project_id", "bead_id", "id"),
)

ticker = Table(
    "ticker",
    METADATA,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("wanted", BigInteger, nullable=False, server_default="0"),
    Column("nudge_queued_at", _INSTANT),
    Column("last_tick_at", _INSTANT),
    Column("steady_since", _INSTANT),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("pause_reason", Text, nullable=False, server_default=""),
    Column("paused_roles", JSONB, nullable=False, server_default="{}"),
    CheckConstraint("id = 1", name="single"),
)

statuses = Table(
    "statuses",
    METADATA,
    Column("scope", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("updated_at", _INSTANT, nullable=False),
)

readiness = Table(
    "readiness",
    METADATA,
    Column("project_id", Text, ForeignKey("projects.id"), primary_key=True),
    Column("ok", Boolean),
    Column("issues", ARRAY(Text), nullable=False, server_default="{}"),
    Column("needed", ARRAY(Text), nullable=False, server_default="{}"),
    Column("checked_at", _INSTANT),
    Column("checking_until", _INSTANT),
)

failure_rows = Table(
    "failure_rows",
    METADATA,
    Column("project_id", Text, ForeignKey("projects.id"), primary_key=True),
    Column("cause", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("last_at", _INSTANT, nullable=False),
)

providers = Table(
    "providers",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("cause", Text, nullable=False, server_default=""),
    Column("error", Text, nullable=False, server_default=""),
    Column("failed_at", _INSTANT),
    Column("succeeded_at", _INSTANT),
    Column("checked_at", _INSTANT),
    Column("check_error", Text, nullable=False, server_default=""),
)

spending = Table(
    "spending",
    METADATA,
    Column("day", Date, primary_key=True),
    Column("project_id", Text, ForeignKey("projects.id"), primary_key=True),
    Column("tokens_in", BigInteger, nullable=False),
    Column("tokens_out", BigInteger, nullable=False),
    Column("usd", Numeric, nullable=False),
)
