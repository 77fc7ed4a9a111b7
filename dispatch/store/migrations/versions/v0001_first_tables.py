"""The tables of the first version"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('events',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('project_id', sa.Text(), nullable=True),
    sa.Column('bead_id', sa.Text(), nullable=True),
    sa.Column('run_id', sa.Uuid(), nullable=True),
    sa.Column('data', postgresql.JSONB(astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('events_pkey'))
    )
    op.create_index('events_of_bead', 'events', ['project_id', 'bead_id', 'id'], unique=False)
    op.create_table('incarnations',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('node', sa.Text(), nullable=False),
    sa.Column('host', sa.Text(), nullable=False),
    sa.Column('pid', sa.Integer(), nullable=False),
    sa.Column('version', sa.Text(), nullable=False),
    sa.Column('queues', sa.ARRAY(sa.Text()), nullable=False),
    sa.Column('roles', sa.ARRAY(sa.Text()), nullable=False),
    sa.Column('agents', sa.SmallInteger(), nullable=False),
    sa.Column('pool', sa.Text(), nullable=False),
    sa.Column('started_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('heartbeat_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('stopping', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('gone', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('incarnations_pkey'))
    )
    op.create_index('incarnations_live', 'incarnations', ['heartbeat_at'], unique=False, postgresql_where=sa.text('NOT gone'))
    op.create_table('projects',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('number', sa.Integer(), sa.Identity(always=True), nullable=False),
    sa.Column('path', sa.Text(), nullable=False),
    sa.Column('prefix', sa.Text(), nullable=False),
    sa.Column('paused', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('pause_reason', sa.Text(), server_default='', nullable=False),
    sa.Column('landing_asked_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('created_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('projects_pkey')),
    sa.UniqueConstraint('number', name=op.f('projects_number_key'))
    )
    op.create_table('statuses',
    sa.Column('scope', sa.Text(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('updated_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('scope', name=op.f('statuses_pkey'))
    )
    op.create_table('ticker',
    sa.Column('id', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('wanted', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('nudge_queued_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('last_tick_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('steady_since', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('paused', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('pause_reason', sa.Text(), server_default='', nullable=False),
    sa.CheckConstraint('id = 1', name=op.f('ticker_single_check')),
    sa.PrimaryKeyConstraint('id', name=op.f('ticker_pkey'))
    )
    op.create_table('agents',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('incarnation_id', sa.Uuid(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('last_used_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['incarnation_id'], ['incarnations.id'], name=op.f('agents_incarnation_id_fkey')),
    sa.PrimaryKeyConstraint('id', name=op.f('agents_pkey'))
    )
    op.create_index('agents_live', 'agents', ['incarnation_id'], unique=False, postgresql_where=sa.text("state <> 'gone'"))
    op.create_table('beads',
    sa.Column('project_id', sa.Text(), nullable=False),
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('seq', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('title', sa.Text(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('priority', sa.SmallInteger(), nullable=False),
    sa.Column('issue_type', sa.Text(), nullable=False),
    sa.Column('assignee', sa.Text(), server_default='', nullable=False),
    sa.Column('labels', sa.ARRAY(sa.Text()), server_default='{}', nullable=False),
    sa.Column('created_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('updated_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('closed_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('close_reason', sa.Text(), server_default='', nullable=False),
    sa.Column('defer_until', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('pinned', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('ephemeral', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('document', sa.Text(), nullable=False),
    sa.Column('changes', sa.JSON(none_as_null=True), server_default='{}', nullable=False),
    sa.Column('role_hint', sa.Text(), server_default='', nullable=False),
    sa.Column('timeout_seconds', sa.Double(), nullable=True),
    sa.Column('blocked', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('defer_from', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('cooldown_until', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('ready_from', sa.TIMESTAMP(timezone=True), sa.Computed('GREATEST(defer_from, cooldown_until)', persisted=True), nullable=True),
    sa.Column('dispatchable', sa.Boolean(), sa.Computed("NOT pinned AND NOT ephemeral AND issue_type <> ALL (ARRAY['agent', 'decision', 'epic', 'event', 'gate', 'merge-request', 'message', 'molecule', 'rig', 'role']::text[]) AND NOT labels && ARRAY['human', 'requires-human-config']::text[]", persisted=True), nullable=True),
    sa.Column('refusal', sa.Text(), server_default='', nullable=False),
    sa.Column('head_sha', sa.Text(), nullable=True),
    sa.Column('landing_from', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('hops', sa.Integer(), server_default='0', nullable=False),
    sa.Column('failures', sa.Integer(), server_default='0', nullable=False),
    sa.Column('closed_by_us', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.CheckConstraint('priority BETWEEN 0 AND 4', name=op.f('beads_priority_check')),
    sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('beads_project_id_fkey')),
    sa.PrimaryKeyConstraint('project_id', 'id', name=op.f('beads_pkey'))
    )
    op.create_index('beads_dispatch', 'beads', ['project_id', 'role_hint', 'priority', 'created_at', 'id'], unique=False, postgresql_where=sa.text("status = 'open' AND NOT blocked AND dispatchable"))
    op.create_index('beads_id', 'beads', ['id'], unique=False)
    op.create_index('beads_landing', 'beads', ['project_id'], unique=False, postgresql_where=sa.text("status = 'landing'"))
    op.create_table('memories',
    sa.Column('project_id', sa.Text(), nullable=False),
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('seq', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('document', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('memories_project_id_fkey')),
    sa.PrimaryKeyConstraint('project_id', 'key', name=op.f('memories_pkey'))
    )
    op.create_table('dependencies',
    sa.Column('project_id', sa.Text(), nullable=False),
    sa.Column('issue_id', sa.Text(), nullable=False),
    sa.Column('depends_on_id', sa.Text(), nullable=False),
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('metadata', sa.Text(), server_default='', nullable=False),
    sa.Column('ours', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.ForeignKeyConstraint(['project_id', 'issue_id'], ['beads.project_id', 'beads.id'], name=op.f('dependencies_project_id_fkey')),
    sa.PrimaryKeyConstraint('project_id', 'issue_id', 'depends_on_id', 'type', name=op.f('dependencies_pkey'))
    )
    op.create_index('dependencies_target', 'dependencies', ['project_id', 'depends_on_id', 'type', 'issue_id'], unique=False)
    op.create_table('steps',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('project_id', sa.Text(), nullable=False),
    sa.Column('bead_id', sa.Text(), nullable=False),
    sa.Column('size', sa.SmallInteger(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('created_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('joined_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['project_id', 'bead_id'], ['beads.project_id', 'beads.id'], name=op.f('steps_project_id_fkey')),
    sa.PrimaryKeyConstraint('id', name=op.f('steps_pkey'))
    )
    op.create_index('steps_one_open', 'steps', ['project_id', 'bead_id'], unique=True, postgresql_where=sa.text("state = 'open'"))
    op.create_table('runs',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('step_id', sa.Uuid(), nullable=False),
    sa.Column('position', sa.SmallInteger(), nullable=False),
    sa.Column('project_id', sa.Text(), nullable=False),
    sa.Column('bead_id', sa.Text(), nullable=False),
    sa.Column('role', sa.Text(), nullable=False),
    sa.Column('attempt', sa.Integer(), nullable=False),
    sa.Column('timeout_seconds', sa.Double(), nullable=False),
    sa.Column('writes_branch', sa.Boolean(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('stop_reason', sa.Text(), nullable=True),
    sa.Column('agent_id', sa.Uuid(), nullable=True),
    sa.Column('agent_name', sa.Text(), server_default='', nullable=False),
    sa.Column('incarnation_id', sa.Uuid(), nullable=True),
    sa.Column('token', sa.Uuid(), nullable=True),
    sa.Column('outcome', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('base_sha', sa.Text(), nullable=True),
    sa.Column('commit_sha', sa.Text(), nullable=True),
    sa.Column('publishes', sa.SmallInteger(), server_default='0', nullable=False),
    sa.Column('settle_failures', sa.SmallInteger(), server_default='0', nullable=False),
    sa.Column('created_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('published_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('started_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('deadline_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('lease_until', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('reported_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('settled_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('host', sa.Text(), nullable=True),
    sa.Column('boot_id', sa.Text(), nullable=True),
    sa.Column('process_group', sa.Integer(), nullable=True),
    sa.Column('process_started', sa.Double(), nullable=True),
    sa.ForeignKeyConstraint(['agent_id'], ['agents.id'], name=op.f('runs_agent_id_fkey')),
    sa.ForeignKeyConstraint(['incarnation_id'], ['incarnations.id'], name=op.f('runs_incarnation_id_fkey')),
    sa.ForeignKeyConstraint(['project_id', 'bead_id'], ['beads.project_id', 'beads.id'], name=op.f('runs_project_id_fkey')),
    sa.ForeignKeyConstraint(['step_id'], ['steps.id'], name=op.f('runs_step_id_fkey')),
    sa.PrimaryKeyConstraint('id', name=op.f('runs_pkey'))
    )
    op.create_index('runs_of_bead', 'runs', ['project_id', 'bead_id', 'created_at'], unique=False)
    op.create_index('runs_one_open_an_agent', 'runs', ['agent_id'], unique=True, postgresql_where=sa.text("state IN ('pending', 'reported', 'running')"))
    op.create_index('runs_open', 'runs', ['state', 'role'], unique=False, postgresql_where=sa.text("state IN ('pending', 'reported', 'running')"))
    op.create_index('runs_step_position', 'runs', ['step_id', 'position'], unique=True)
    op.create_table('actions',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('run_id', sa.Uuid(), nullable=False),
    sa.Column('at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('agent_id', sa.Uuid(), nullable=True),
    sa.Column('action_type', sa.Text(), nullable=False),
    sa.Column('action_data', sa.JSON(), nullable=False),
    sa.Column('result_hash', sa.Text(), nullable=False),
    sa.Column('progress_key', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['run_id'], ['runs.id'], name=op.f('actions_run_id_fkey')),
    sa.PrimaryKeyConstraint('id', name=op.f('actions_pkey'))
    )
    op.create_index(op.f('actions_run_id_idx'), 'actions', ['run_id'], unique=False)
    op.create_table('errors',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('project_id', sa.Text(), nullable=False),
    sa.Column('bead_id', sa.Text(), nullable=False),
    sa.Column('run_id', sa.Uuid(), nullable=True),
    sa.Column('at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('error', sa.Text(), nullable=False),
    sa.Column('dispatch', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['run_id'], ['runs.id'], name=op.f('errors_run_id_fkey')),
    sa.PrimaryKeyConstraint('id', name=op.f('errors_pkey'))
    )
    op.create_index('errors_of_bead', 'errors', ['project_id', 'bead_id', 'id'], unique=False)
    op.execute("INSERT INTO ticker (id) VALUES (1)")


def downgrade() -> None:
    op.drop_index('errors_of_bead', table_name='errors')
    op.drop_table('errors')
    op.drop_index(op.f('actions_run_id_idx'), table_name='actions')
    op.drop_table('actions')
    op.drop_index('runs_step_position', table_name='runs')
    op.drop_index('runs_open', table_name='runs', postgresql_where=sa.text("state IN ('pending', 'reported', 'running')"))
    op.drop_index('runs_one_open_an_agent', table_name='runs', postgresql_where=sa.text("state IN ('pending', 'reported', 'running')"))
    op.drop_index('runs_of_bead', table_name='runs')
    op.drop_table('runs')
    op.drop_index('steps_one_open', table_name='steps', postgresql_where=sa.text("state = 'open'"))
    op.drop_table('steps')
    op.drop_index('dependencies_target', table_name='dependencies')
    op.drop_table('dependencies')
    op.drop_table('memories')
    op.drop_index('beads_landing', table_name='beads', postgresql_where=sa.text("status = 'landing'"))
    op.drop_index('beads_id', table_name='beads')
    op.drop_index('beads_dispatch', table_name='beads', postgresql_where=sa.text("status = 'open' AND NOT blocked AND dispatchable"))
    op.drop_table('beads')
    op.drop_index('agents_live', table_name='agents', postgresql_where=sa.text("state <> 'gone'"))
    op.drop_table('agents')
    op.drop_table('ticker')
    op.drop_table('statuses')
    op.drop_table('projects')
    op.drop_index('incarnations_live', table_name='incarnations', postgresql_where=sa.text('NOT gone'))
    op.drop_table('incarnations')
    op.drop_index('events_of_bead', table_name='events')
    op.drop_table('events')
