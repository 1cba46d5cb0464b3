"""The chassis' tables and accepted budgets."""

from alembic import op

from chassis.migrate import CHASSIS_TABLES, run_sql

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE accepted_budget (
  budget_id uuid NOT NULL, revision int NOT NULL CHECK (revision > 0), assessment_ref uuid NOT NULL,
  person_ref uuid NOT NULL,
  council text NOT NULL, weekly_pence bigint NOT NULL CHECK (weekly_pence >= 0),
  one_off_pence bigint NOT NULL CHECK (one_off_pence >= 0),
  contribution_pence bigint NOT NULL CHECK (contribution_pence >= 0), body bytea NOT NULL,
  recorded_at timestamptz NOT NULL,
  PRIMARY KEY (budget_id, revision)
)
"""


def upgrade() -> None:
    run_sql(op, CHASSIS_TABLES)
    run_sql(op, TABLES)
