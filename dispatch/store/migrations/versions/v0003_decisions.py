"""Decisions, their options and their answers"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('beads', sa.Column('hop_allowance', sa.Integer(), server_default='0', nullable=False))
    op.add_column('beads', sa.Column('advised', sa.Boolean(), server_default=sa.text('false'), nullable=False))
    op.create_table('decisions',
    sa.Column('project_id', sa.Text(), nullable=False),
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('bead_id', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('returned_to', sa.Text(), nullable=True),
    sa.Column('facts', postgresql.JSONB(astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.Column('offer', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('opened_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('announced_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('announcements', sa.SmallInteger(), server_default='0', nullable=False),
    sa.Column('ruled_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('ruling', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.CheckConstraint('(ruled_at IS NULL) = (ruling IS NULL)', name=op.f('decisions_ruled_check')),
    sa.ForeignKeyConstraint(['project_id', 'bead_id'], ['beads.project_id', 'beads.id'], name=op.f('decisions_project_id_bead_id_fkey')),
    sa.ForeignKeyConstraint(['project_id', 'id'], ['beads.project_id', 'beads.id'], name=op.f('decisions_project_id_id_fkey')),
    sa.PrimaryKeyConstraint('project_id', 'id', name=op.f('decisions_pkey'))
    )
    op.create_index('decisions_of_bead', 'decisions', ['project_id', 'bead_id', 'opened_at'], unique=False)
    op.create_index('decisions_one_open', 'decisions', ['project_id', 'bead_id'], unique=True, postgresql_where=sa.text('ruled_at IS NULL'))


def downgrade() -> None:
    op.drop_index('decisions_one_open', table_name='decisions', postgresql_where=sa.text('ruled_at IS NULL'))
    op.drop_index('decisions_of_bead', table_name='decisions')
    op.drop_table('decisions')
    op.drop_column('beads', 'advised')
    op.drop_column('beads', 'hop_allowance')
