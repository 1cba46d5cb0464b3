"""Migrations, one alembic chain a service, and the tables every service has. Run by the owner role, never by the
service's own: that one may only read and write rows, and only append to event tables."""

import re
from datetime import date
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import Connection

from chassis.service import Service
from chassis.transaction import SHARDS

WHOLE = "toast_tuple_target = 8160"
"""Rows of some kilobytes stay whole: packing each one, three times a decision, took a third of the database's time."""

CHASSIS_TABLES = f"""
CREATE TABLE inbox (
  event_id uuid PRIMARY KEY, payload_hash bytea NOT NULL, received_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE outbox_head (shard smallint PRIMARY KEY, next bigint NOT NULL DEFAULT 0 CHECK (next >= 0))
  WITH (fillfactor = 50);
CREATE TABLE outbox (
  shard smallint NOT NULL, off bigint NOT NULL, day date NOT NULL, event_id uuid NOT NULL, type text NOT NULL,
  topic text NOT NULL, subject uuid NOT NULL, correlation_id uuid NOT NULL, causation_id uuid,
  traceparent text NOT NULL, occurred_at timestamptz NOT NULL, source text NOT NULL, payload bytea NOT NULL,
  PRIMARY KEY (shard, off, day)
) PARTITION BY RANGE (day);
CREATE TABLE outbox_default PARTITION OF outbox DEFAULT;
CREATE TABLE outbox_cursor (
  shard smallint PRIMARY KEY, pos bigint NOT NULL DEFAULT 0, owner text, lease_until timestamptz
) WITH (fillfactor = 50);
CREATE TABLE parked (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, person_ref uuid NOT NULL, event_id uuid NOT NULL,
  type text NOT NULL, topic text NOT NULL, partition int NOT NULL, record_offset bigint NOT NULL, key bytea NOT NULL,
  headers jsonb NOT NULL, payload bytea NOT NULL, payload_hash bytea NOT NULL, reason text NOT NULL,
  blocks boolean NOT NULL,
  attempts int NOT NULL, first_failed_at timestamptz NOT NULL, released_at timestamptz, UNIQUE (event_id, payload_hash)
);
CREATE INDEX parked_people ON parked (person_ref) WHERE released_at IS NULL AND blocks;
INSERT INTO outbox_head (shard) SELECT generate_series(0, {SHARDS - 1});
INSERT INTO outbox_cursor (shard) SELECT generate_series(0, {SHARDS - 1})
"""
"""The first revision of every chain runs this. A later change of the chassis' tables is a new constant and a revision
in each chain, never an edit here."""

CHASSIS_TABLES_2 = f"""
ALTER TABLE outbox_default SET ({WHOLE});
ALTER TABLE parked ADD COLUMN ended text CHECK (ended IN ('released', 'discarded', 'redriven'));
ALTER TABLE parked ADD COLUMN last_tried_at timestamptz;
UPDATE parked SET ended = 'released' WHERE released_at IS NOT NULL;
CREATE TABLE consumer_fence (
  topic text NOT NULL, partition int NOT NULL, owner text NOT NULL, since timestamptz NOT NULL,
  PRIMARY KEY (topic, partition)
);
CREATE TABLE consumer_stop (
  one boolean PRIMARY KEY DEFAULT true CHECK (one), stopped_at timestamptz NOT NULL, heard_at timestamptz NOT NULL,
  people int NOT NULL, reasons jsonb NOT NULL, resume_asked_at timestamptz, park_them boolean NOT NULL DEFAULT false
);
CREATE TABLE audit_head (shard smallint PRIMARY KEY, next bigint NOT NULL DEFAULT 0, hash bytea NOT NULL);
CREATE TABLE audit (
  shard smallint NOT NULL, off bigint NOT NULL, body text NOT NULL, hash bytea NOT NULL, PRIMARY KEY (shard, off)
);
INSERT INTO audit_head (shard, hash) SELECT generate_series(0, {SHARDS - 1}), '\\x'
"""
"""How a parked message ended; who may work on a partition; a consumer that stopped itself; who did or saw what."""


def chassis_tables() -> set[str]:
    """Names of the tables that every service has, whatever it does."""
    scripts = [value for name, value in globals().items() if name.startswith("CHASSIS_TABLES")]
    return {table for script in scripts for table in re.findall(r"CREATE TABLE (\w+)", script)} | {"alembic_version"}


CHASSIS_TABLES_3 = """
CREATE TABLE audit_anchor (n bigint PRIMARY KEY CHECK (n > 0), body text NOT NULL, signature bytea NOT NULL)
"""

EVENT_TABLES = ("outbox", "inbox", "audit", "audit_anchor")


def run_sql(operations: Any, script: str) -> None:
    """Statements divided by `;` at a line's end: the driver takes one at a time."""
    for statement in script.split(";\n"):
        if statement.strip():
            operations.execute(text(statement.strip().rstrip(";").replace(":", r"\:")))


def upgrade(connection: Connection, service: Service) -> None:
    """Bring one service's schema to its chain's head. Safe to repeat."""
    config = Config()
    config.set_main_option("script_location", str(service.migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    script = ScriptDirectory.from_config(config)

    def steps(revision: Any, _context: Any) -> Any:
        return script._upgrade_revs("head", revision)

    with EnvironmentContext(config, script, fn=steps) as environment:
        connection.execute(text(f"SET search_path TO {service.schema}"))
        environment.configure(connection=connection, version_table_schema=service.schema)
        with environment.begin_transaction():
            environment.run_migrations()


def head(service: Service) -> str:
    return ScriptDirectory(str(service.migrations)).get_current_head() or ""


def make_outbox_months(connection: Connection, schema: str, today: date, months: int = 3) -> None:
    """Partitions for this month and the next ones, so that an old month can be dropped whole after reconciliation."""
    for ahead in range(months):
        first, following = _month(today, ahead), _month(today, ahead + 1)
        name = f"{schema}.outbox_{first:%Y%m}"
        connection.execute(
            text(
                f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {schema}.outbox "
                f"FOR VALUES FROM ('{first}') TO ('{following}') WITH ({WHOLE})"
            )
        )


def _month(today: date, ahead: int) -> date:
    count = today.year * 12 + today.month - 1 + ahead
    return date(count // 12, count % 12 + 1, 1)


def grant(connection: Connection, service: Service, role: str) -> None:
    """Least privilege: rows of its own schema; event tables INSERT and SELECT only."""
    schema = service.schema
    event_tables = ", ".join(f"{schema}.{t}" for t in (*EVENT_TABLES, *service.insert_only))
    for statement in (
        f"GRANT USAGE ON SCHEMA {schema} TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
        f"REVOKE UPDATE, DELETE, TRUNCATE ON {event_tables} FROM {role}",
        f"REVOKE INSERT, DELETE ON {schema}.audit_head FROM {role}",
        f"REVOKE INSERT, UPDATE, DELETE ON {schema}.alembic_version FROM {role}",
        # rows go in and out through the parent; a partition's own grants would be a way around it
        *(f"REVOKE ALL ON {partition} FROM {role}" for partition in _partitions(connection, schema)),
    ):
        connection.execute(text(statement))


def _partitions(connection: Connection, schema: str) -> list[str]:
    found = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(:table)"
    return list(connection.execute(text(found.replace("::", r"\:\:")), {"table": f"{schema}.outbox"}).scalars())
