"""The chassis' tables, a stream's cases and the notices it was sent."""

from alembic import op

from chassis.migrate import CHASSIS_TABLES, run_sql

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE stream_case (
  assessment_ref uuid PRIMARY KEY, person_ref uuid NOT NULL, correlation_id uuid NOT NULL,
  asked bytea, supplied bytea, notice bytea, notice_on int NOT NULL DEFAULT 0, decided bytea,
  revision int NOT NULL CHECK (revision >= 0),
  outcome text NOT NULL CHECK (outcome IN ('WAITING', 'AWARDED', 'PROVISIONAL', 'REFUSED', 'UNCLEAR', 'ENDED')),
  changed_at timestamptz NOT NULL,
  CHECK ((decided IS NULL) = (revision = 0)), CHECK ((outcome = 'WAITING') = (revision = 0))
);
CREATE TABLE notice (
  assessment_ref uuid NOT NULL REFERENCES stream_case, reference text NOT NULL, content_hash bytea NOT NULL,
  received_at timestamptz NOT NULL, body bytea NOT NULL, PRIMARY KEY (assessment_ref, reference)
)
"""


def upgrade() -> None:
    run_sql(op, CHASSIS_TABLES)
    run_sql(op, TABLES)
