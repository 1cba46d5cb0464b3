"""The chassis' tables and assessments."""

from alembic import op

from chassis.migrate import CHASSIS_TABLES, run_sql

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE assessment (
  assessment_ref uuid PRIMARY KEY, council text NOT NULL, assessment_id text NOT NULL,
  version int NOT NULL CHECK (version > 0),
  person_ref uuid NOT NULL, content_hash bytea NOT NULL, body bytea NOT NULL, root_id uuid NOT NULL UNIQUE,
  final boolean NOT NULL, edit int NOT NULL CHECK (edit > 0), created_at timestamptz NOT NULL, finalised_at timestamptz,
  UNIQUE (council, assessment_id, version), CHECK (final = (finalised_at IS NOT NULL))
)
"""


def upgrade() -> None:
    run_sql(op, CHASSIS_TABLES)
    run_sql(op, TABLES)
