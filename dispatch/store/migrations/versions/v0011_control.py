"""Control: beads on hold, roles that are paused"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None

_READY = sa.text("status = 'open' AND NOT blocked AND dispatchable")
_NOT_ON_HOLD = "hold = ''"
_TYPES = "'agent', 'decision', 'epic', 'event', 'gate', 'merge-request', 'message', 'molecule', 'rig', 'role'"
_LABELS = "'human', 'requires-human-config'"


def upgrade() -> None:
    op.add_column('beads', sa.Column('hold', sa.Text(), server_default='', nullable=False))
    _dispatchable(_NOT_ON_HOLD)
    op.add_column('ticker', sa.Column('paused_roles', postgresql.JSONB(astext_type=sa.Text()), server_default='{}', nullable=False))


def downgrade() -> None:
    op.drop_column('ticker', 'paused_roles')
    _dispatchable('')
    op.drop_column('beads', 'hold')


def _dispatchable(also: str) -> None:
    """Make the column anew that says whether a bead may be dispatched, and the index that stands on it."""
    op.drop_index('beads_dispatch', table_name='beads', postgresql_where=_READY)
    op.drop_column('beads', 'dispatchable')
    may_go = f' AND {also}' if also else ''
    rule = (
        f"NOT pinned AND NOT ephemeral{may_go} AND turn IN ('', 'agent')"
        f' AND issue_type <> ALL (ARRAY[{_TYPES}]::text[]) AND NOT labels && ARRAY[{_LABELS}]::text[]'
    )
    op.add_column('beads', sa.Column('dispatchable', sa.Boolean(), sa.Computed(rule, persisted=True)))
    columns = ['project_id', 'role_hint', 'priority', 'created_at', 'id']
    op.create_index('beads_dispatch', 'beads', columns, unique=False, postgresql_where=_READY)
