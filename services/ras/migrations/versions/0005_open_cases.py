"""So that the age of the oldest case without a budget is read without reading the cases that have one."""

from alembic import op

from chassis.migrate import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_sql(op, "CREATE INDEX budget_case_open ON budget_case (asked_at) WHERE revision = 0 AND NOT superseded")
