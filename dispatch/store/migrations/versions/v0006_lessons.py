"""Lessons"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None

_WORDS = (
    "setweight(to_tsvector('english'::regconfig, regexp_replace(title, '[^[:alnum:]]+', ' ', 'g')), 'A')"
    " || setweight(to_tsvector('english'::regconfig, regexp_replace(detail, '[^[:alnum:]]+', ' ', 'g')), 'B')"
)


def upgrade() -> None:
    op.create_table(
        'lessons',
        sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column('project_id', sa.Text(), nullable=False),
        sa.Column('category', sa.Text(), nullable=False),
        sa.Column('title', sa.Text(), nullable=False),
        sa.Column('detail', sa.Text(), nullable=False),
        sa.Column('bead_id', sa.Text(), nullable=True),
        sa.Column('agent_id', sa.Text(), server_default='', nullable=False),
        sa.Column('run_id', sa.Uuid(), nullable=True),
        sa.Column('fingerprint', sa.Text(), nullable=False),
        sa.Column('created_at', sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column('confirmed_at', sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column('forgotten_at', sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column('words', postgresql.TSVECTOR(), sa.Computed(_WORDS, persisted=True), nullable=True),
        sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('lessons_project_id_fkey')),
        sa.PrimaryKeyConstraint('id', name=op.f('lessons_pkey')),
    )
    op.create_index('lessons_same', 'lessons', ['project_id', 'fingerprint'], unique=True)
    op.create_index('lessons_told', 'lessons', ['project_id', 'confirmed_at'], unique=False, postgresql_where=sa.text('forgotten_at IS NULL'))
    op.create_index('lessons_words', 'lessons', ['words'], unique=False, postgresql_using='gin')
    op.create_table(
        'run_lessons',
        sa.Column('run_id', sa.Uuid(), nullable=False),
        sa.Column('lesson_id', sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(['lesson_id'], ['lessons.id'], name=op.f('run_lessons_lesson_id_fkey')),
        sa.ForeignKeyConstraint(['run_id'], ['runs.id'], name=op.f('run_lessons_run_id_fkey')),
        sa.PrimaryKeyConstraint('run_id', 'lesson_id', name=op.f('run_lessons_pkey')),
    )


def downgrade() -> None:
    op.execute('DROP TABLE IF EXISTS lesson_vectors')
    op.drop_table('run_lessons')
    op.drop_table('lessons')
