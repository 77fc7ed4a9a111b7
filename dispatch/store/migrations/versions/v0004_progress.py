"""What loops are judged by"""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('runs', sa.Column('commit_first', sa.Text(), nullable=True))
    op.add_column('runs', sa.Column('commit_count', sa.Integer(), server_default='0', nullable=False))
    op.add_column('beads', sa.Column('commit_first', sa.Text(), nullable=True))
    op.add_column('beads', sa.Column('commit_last', sa.Text(), nullable=True))
    op.add_column('beads', sa.Column('commit_count', sa.Integer(), server_default='0', nullable=False))
    op.add_column('beads', sa.Column('triaged_at', sa.TIMESTAMP(timezone=True), nullable=True))
    op.add_column('beads', sa.Column('triaged_from', sa.Text(), nullable=True))
    op.create_index('actions_of_run', 'actions', ['run_id', 'id'], unique=False)
    op.drop_index('actions_run_id_idx', table_name='actions')


def downgrade() -> None:
    op.create_index('actions_run_id_idx', 'actions', ['run_id'], unique=False)
    op.drop_index('actions_of_run', table_name='actions')
    op.drop_column('beads', 'triaged_from')
    op.drop_column('beads', 'triaged_at')
    op.drop_column('beads', 'commit_count')
    op.drop_column('beads', 'commit_last')
    op.drop_column('beads', 'commit_first')
    op.drop_column('runs', 'commit_count')
    op.drop_column('runs', 'commit_first')
