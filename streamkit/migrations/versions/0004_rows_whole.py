"""Cases stay whole: a decision of some kilobytes is not packed."""

from alembic import op

from chassis.migrate import WHOLE, run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_sql(op, f"ALTER TABLE stream_case SET ({WHOLE})")
