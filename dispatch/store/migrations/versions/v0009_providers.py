"""Providers of models"""

import sqlalchemy as sa
from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'providers',
        sa.Column('name', sa.Text(), nullable=False),
        sa.Column('failures', sa.Integer(), server_default='0', nullable=False),
        sa.Column('cause', sa.Text(), server_default='', nullable=False),
        sa.Column('error', sa.Text(), server_default='', nullable=False),
        sa.Column('failed_at', sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column('succeeded_at', sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column('checked_at', sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column('check_error', sa.Text(), server_default='', nullable=False),
        sa.PrimaryKeyConstraint('name', name=op.f('providers_pkey')),
    )
    op.add_column('runs', sa.Column('provider', sa.Text(), server_default='', nullable=False))


def downgrade() -> None:
    op.drop_column('runs', 'provider')
    op.drop_table('providers')
