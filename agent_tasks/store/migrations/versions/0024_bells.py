"""Workers tell where they take bells from, for submitters that ring elsewhere."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.add_column("workers", sa.Column("bells", sa.Text()))


def downgrade() -> None:
    op.drop_column("workers", "bells")
