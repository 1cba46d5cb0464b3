"""The chassis' tables, budget cases and the answers they rest on."""

from alembic import op

from chassis.migrate import CHASSIS_TABLES, run_sql

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE budget_case (
  assessment_ref uuid PRIMARY KEY, budget_id uuid NOT NULL UNIQUE, person_ref uuid NOT NULL,
  correlation_id uuid NOT NULL, asked bytea, asked_at timestamptz, position bytea,
  supplied_revision int NOT NULL CHECK (supplied_revision >= 0),
  proposed bytea, late text NOT NULL, superseded boolean NOT NULL, next_due timestamptz,
  revision int NOT NULL CHECK (revision >= 0),
  state text NOT NULL CHECK (state IN ('WAITING', 'PROPOSED', 'NO_BUDGET', 'SUPERSEDED')),
  CHECK ((proposed IS NULL) = (revision = 0)), CHECK ((asked IS NULL) = (asked_at IS NULL))
);
CREATE INDEX budget_case_due ON budget_case (next_due) WHERE next_due IS NOT NULL;
CREATE TABLE stream_answer (
  assessment_ref uuid NOT NULL, stream text NOT NULL, revision int NOT NULL CHECK (revision > 0),
  payload bytea NOT NULL,
  PRIMARY KEY (assessment_ref, stream)
);
CREATE TABLE acceptance (
  budget_id uuid NOT NULL REFERENCES budget_case (budget_id), revision int NOT NULL CHECK (revision > 0),
  accepted_at timestamptz NOT NULL, PRIMARY KEY (budget_id, revision)
)
"""


def upgrade() -> None:
    run_sql(op, CHASSIS_TABLES)
    run_sql(op, TABLES)
