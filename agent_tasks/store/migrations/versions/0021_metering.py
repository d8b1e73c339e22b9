"""What calls under way have reserved of their task's budget, and what each call has cost."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    for table, columns in (("tasks", ("held",)), ("calls", ("held", ""))):
        for prefix in columns:
            name = f"{prefix}_" if prefix else ""
            op.add_column(
                table, sa.Column(f"{name}tokens", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
            )
            op.add_column(table, sa.Column(f"{name}usd", sa.Numeric(), server_default=sa.text("0"), nullable=False))
    op.create_check_constraint(op.f("tasks_held"), "tasks", "held_tokens >= 0 AND held_usd >= 0")


def downgrade() -> None:
    op.drop_constraint(op.f("tasks_held"), "tasks", type_="check")
    for table, names in (
        ("calls", ("usd", "tokens", "held_usd", "held_tokens")),
        ("tasks", ("held_usd", "held_tokens")),
    ):
        for name in names:
            op.drop_column(table, name)
