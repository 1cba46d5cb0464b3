"""Signed heads of the audit log."""

from alembic import op

from chassis.migrate import CHASSIS_TABLES_3, run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_sql(op, CHASSIS_TABLES_3)
