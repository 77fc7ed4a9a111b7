"""What the guards remember"""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('beads', sa.Column('usd', sa.Numeric(), server_default='0', nullable=False))
    op.add_column('runs', sa.Column('tokens_in', sa.BigInteger(), server_default='0', nullable=False))
    op.add_column('runs', sa.Column('tokens_out', sa.BigInteger(), server_default='0', nullable=False))
    op.add_column('runs', sa.Column('usd', sa.Numeric(), server_default='0', nullable=False))
    op.create_table('readiness',
    sa.Column('project_id', sa.Text(), nullable=False),
    sa.Column('ok', sa.Boolean(), nullable=True),
    sa.Column('issues', sa.ARRAY(sa.Text()), server_default='{}', nullable=False),
    sa.Column('needed', sa.ARRAY(sa.Text()), server_default='{}', nullable=False),
    sa.Column('checked_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('checking_until', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('readiness_project_id_fkey')),
    sa.PrimaryKeyConstraint('project_id', name=op.f('readiness_pkey'))
    )
    op.create_table('failure_rows',
    sa.Column('project_id', sa.Text(), nullable=False),
    sa.Column('cause', sa.Text(), nullable=False),
    sa.Column('failures', sa.Integer(), nullable=False),
    sa.Column('last_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('failure_rows_project_id_fkey')),
    sa.PrimaryKeyConstraint('project_id', name=op.f('failure_rows_pkey'))
    )
    op.create_table('spending',
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('project_id', sa.Text(), nullable=False),
    sa.Column('tokens_in', sa.BigInteger(), nullable=False),
    sa.Column('tokens_out', sa.BigInteger(), nullable=False),
    sa.Column('usd', sa.Numeric(), nullable=False),
    sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('spending_project_id_fkey')),
    sa.PrimaryKeyConstraint('day', 'project_id', name=op.f('spending_pkey'))
    )


def downgrade() -> None:
    op.drop_table('spending')
    op.drop_table('failure_rows')
    op.drop_table('readiness')
    op.drop_column('runs', 'usd')
    op.drop_column('runs', 'tokens_out')
    op.drop_column('runs', 'tokens_in')
    op.drop_column('beads', 'usd')
