"""An answer without its reasons, beside the whole decision: all that a budget is put together from."""

from alembic import op

from chassis.migrate import WHOLE, run_sql

revision = "0004"
down_revision = "0003"

COLUMN = f"""
ALTER TABLE stream_answer SET ({WHOLE});
ALTER TABLE budget_case SET ({WHOLE});
ALTER TABLE stream_answer ADD COLUMN answer bytea;
UPDATE stream_answer SET answer = payload;
ALTER TABLE stream_answer ALTER COLUMN answer SET NOT NULL
"""
"""A whole decision reads as an answer too: what is in it beside is passed over."""


def upgrade() -> None:
    run_sql(op, COLUMN)
