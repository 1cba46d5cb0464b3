"""The chassis' tables for faults and audit."""

from alembic import op

from chassis.migrate import CHASSIS_TABLES_2, run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_sql(op, CHASSIS_TABLES_2)
