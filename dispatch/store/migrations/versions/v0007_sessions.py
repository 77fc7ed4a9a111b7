"""Sessions"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'sessions',
        sa.Column('project_id', sa.Text(), nullable=False),
        sa.Column('bead_id', sa.Text(), nullable=False),
        sa.Column('runner', sa.Text(), server_default='', nullable=False),
        sa.Column('role', sa.Text(), server_default='', nullable=False),
        sa.Column('external_id', sa.Text(), server_default='', nullable=False),
        sa.Column('host', sa.Text(), server_default='', nullable=False),
        sa.Column('turns', postgresql.JSONB(astext_type=sa.Text()), server_default='[]', nullable=False),
        sa.Column('started_at', sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column('updated_at', sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column('expires_at', sa.TIMESTAMP(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(['project_id', 'bead_id'], ['beads.project_id', 'beads.id'], name=op.f('sessions_project_id_fkey')),
        sa.PrimaryKeyConstraint('project_id', 'bead_id', name=op.f('sessions_pkey')),
    )
    op.create_index('sessions_expiry', 'sessions', ['expires_at'], unique=False)
    op.add_column('memories', sa.Column('ours', sa.Text(), nullable=True))
    op.add_column('memories', sa.Column('forgotten', sa.Boolean(), server_default=sa.text('false'), nullable=False))
    op.add_column('memories', sa.Column('changed_at', sa.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False))


def downgrade() -> None:
    for column in ('changed_at', 'forgotten', 'ours'):
        op.drop_column('memories', column)
    op.drop_table('sessions')
