"""Workflows"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None

_READY = sa.text("status = 'open' AND NOT blocked AND dispatchable")
_TURNS = sa.text("status = 'open' AND turn IN ('engine', 'human')")
_OF_AGENTS = "turn IN ('', 'agent')"
_TYPES = "'agent', 'decision', 'epic', 'event', 'gate', 'merge-request', 'message', 'molecule', 'rig', 'role'"
_LABELS = "'human', 'requires-human-config'"


def upgrade() -> None:
    op.add_column('beads', sa.Column('workflow', sa.Text(), server_default='', nullable=False))
    op.add_column('beads', sa.Column('node', sa.Text(), server_default='', nullable=False))
    op.add_column('beads', sa.Column('turn', sa.Text(), server_default='', nullable=False))
    op.add_column('beads', sa.Column('step_size', sa.SmallInteger(), server_default='1', nullable=False))
    op.add_column('beads', sa.Column('step_reads', sa.Boolean(), server_default=sa.text('false'), nullable=False))
    op.add_column('beads', sa.Column('node_timeout_seconds', sa.Double(), nullable=True))
    _dispatchable(_OF_AGENTS)
    op.create_index('beads_turn', 'beads', ['project_id', 'id'], unique=False, postgresql_where=_TURNS)
    op.create_table(
        'executions',
        sa.Column('project_id', sa.Text(), nullable=False),
        sa.Column('bead_id', sa.Text(), nullable=False),
        sa.Column('definition', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column('node', sa.Text(), nullable=False),
        sa.Column('attempts', sa.SmallInteger(), server_default='0', nullable=False),
        sa.Column('cycles', sa.SmallInteger(), server_default='0', nullable=False),
        sa.Column('visited', postgresql.ARRAY(sa.Text()), server_default='{}', nullable=False),
        sa.Column('writer', sa.Text(), server_default='', nullable=False),
        sa.Column('reviews', postgresql.JSONB(astext_type=sa.Text()), server_default='[]', nullable=False),
        sa.Column('started_at', sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column('entered_at', sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column('due_at', sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column('ended_at', sa.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(['project_id', 'bead_id'], ['beads.project_id', 'beads.id'], name=op.f('executions_project_id_fkey')),
        sa.PrimaryKeyConstraint('project_id', 'bead_id', name=op.f('executions_pkey')),
    )
    op.create_index('executions_due', 'executions', ['due_at'], unique=False, postgresql_where=sa.text('due_at IS NOT NULL AND ended_at IS NULL'))


def downgrade() -> None:
    op.drop_table('executions')
    op.drop_index('beads_turn', table_name='beads', postgresql_where=_TURNS)
    _dispatchable('')
    for column in ('node_timeout_seconds', 'step_reads', 'step_size', 'turn', 'node', 'workflow'):
        op.drop_column('beads', column)


def _dispatchable(also: str) -> None:
    """Make the column anew that says whether a bead may be dispatched, and the index that stands on it."""
    op.drop_index('beads_dispatch', table_name='beads', postgresql_where=_READY)
    op.drop_column('beads', 'dispatchable')
    whose_turn = f' AND {also}' if also else ''
    rule = (
        f'NOT pinned AND NOT ephemeral{whose_turn}'
        f' AND issue_type <> ALL (ARRAY[{_TYPES}]::text[]) AND NOT labels && ARRAY[{_LABELS}]::text[]'
    )
    op.add_column('beads', sa.Column('dispatchable', sa.Boolean(), sa.Computed(rule, persisted=True)))
    columns = ['project_id', 'role_hint', 'priority', 'created_at', 'id']
    op.create_index('beads_dispatch', 'beads', columns, unique=False, postgresql_where=_READY)
