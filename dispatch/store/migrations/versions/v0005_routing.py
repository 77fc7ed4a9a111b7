"""Where beads are routed"""

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('projects', sa.Column('routed_by', sa.Text(), server_default='', nullable=False))
    op.add_column('beads', sa.Column('role_reason', sa.Text(), server_default='', nullable=False))
    op.add_column('beads', sa.Column('role_problem', sa.Text(), server_default='', nullable=False))
    op.add_column('beads', sa.Column('ready_since', sa.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False))
    op.create_index('beads_role_problem', 'beads', ['project_id', 'id'], unique=False, postgresql_where=sa.text("role_problem <> ''"))
    op.create_index('incarnations_heard', 'incarnations', ['heartbeat_at'], unique=False)


def downgrade() -> None:
    op.drop_index('incarnations_heard', table_name='incarnations')
    op.drop_index('beads_role_problem', table_name='beads', postgresql_where=sa.text("role_problem <> ''"))
    op.drop_column('beads', 'ready_since')
    op.drop_column('beads', 'role_problem')
    op.drop_column('beads', 'role_reason')
    op.drop_column('projects', 'routed_by')
