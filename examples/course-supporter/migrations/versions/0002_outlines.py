"""Outlines, each with the prompt version that made it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "outlines",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("course_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("prompt_version", sa.String(20), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.clock_timestamp(),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name="pk_outlines"),
        sa.ForeignKeyConstraint(
            ["course_id"], ["courses.id"], name="fk_outlines_course_id_courses", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_outlines_course_id", "outlines", ["course_id"])


def downgrade() -> None:
    op.drop_index("ix_outlines_course_id", "outlines")
    op.drop_table("outlines")
