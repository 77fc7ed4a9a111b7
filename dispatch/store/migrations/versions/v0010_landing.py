"""Pull requests, and workers that can take nothing"""

import sqlalchemy as sa
from alembic import op

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'pull_requests',
        sa.Column('project_id', sa.Text(), nullable=False),
        sa.Column('bead_id', sa.Text(), nullable=False),
        sa.Column('branch', sa.Text(), nullable=False),
        sa.Column('base', sa.Text(), nullable=False),
        sa.Column('head_sha', sa.Text(), nullable=False),
        sa.Column('pushed_sha', sa.Text(), nullable=False),
        sa.Column('tip_sha', sa.Text(), nullable=False),
        sa.Column('replaced_sha', sa.Text(), nullable=True),
        sa.Column('is_pushed', sa.Boolean(), server_default=sa.text('false'), nullable=False),
        sa.Column('seen_sha', sa.Text(), nullable=True),
        sa.Column('is_gone', sa.Boolean(), server_default=sa.text('false'), nullable=False),
        sa.Column('url', sa.Text(), server_default='', nullable=False),
        sa.Column('command', sa.Text(), server_default='', nullable=False),
        sa.Column('problem', sa.Text(), server_default='', nullable=False),
        sa.Column('asked_at', sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column('ended', sa.Text(), server_default='', nullable=False),
        sa.Column('changed_at', sa.TIMESTAMP(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(['project_id', 'bead_id'], ['beads.project_id', 'beads.id'], name=op.f('pull_requests_project_id_fkey')),
        sa.PrimaryKeyConstraint('project_id', 'bead_id', name=op.f('pull_requests_pkey')),
    )
    op.add_column('incarnations', sa.Column('trouble', sa.Text(), server_default='', nullable=False))


def downgrade() -> None:
    op.drop_column('incarnations', 'trouble')
    op.drop_table('pull_requests')
