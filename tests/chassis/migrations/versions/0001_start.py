"""The chassis' tables, and what the probe's handler did."""

from alembic import op

from chassis.migrate import CHASSIS_TABLES, run_sql

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE effect (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, person_ref uuid NOT NULL, revision int NOT NULL
);
CREATE TABLE counter (person_ref uuid PRIMARY KEY, n int NOT NULL)
"""


def upgrade() -> None:
    run_sql(op, CHASSIS_TABLES)
    run_sql(op, TABLES)
