"""A database that has seen many people: what is stored of those already decided, copied under new ids.

Every row of every table is copied, state whole; events of the past are copied without their payload, which nothing
reads any more. Ids keep their first 48 bits, as ids of one time have, so that indexes grow as they would.
"""

from collections.abc import Callable, Sequence
from typing import Any

import asyncpg

from chassis.service import Service

AUDIT = {"audit", "audit_head", "audit_anchor"}
"""A chain by hash: a copy of it would be a broken one."""

LEFT_ALONE = {"alembic_version", "outbox_head", "outbox_cursor", "consumer_fence", "parked", *AUDIT}
AT_ONCE = 20
COLUMNS = """
SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c
JOIN information_schema.tables t USING (table_schema, table_name)
WHERE table_schema = $1 AND t.table_type = 'BASE TABLE' AND is_generated = 'NEVER' AND c.is_identity = 'NO'
ORDER BY table_name, ordinal_position
"""


async def count_people(connection: "asyncpg.Connection[Any]") -> int:
    return int(await connection.fetchval("SELECT count(*) FROM assessment.assessment"))


async def fill(url: str, services: Sequence[Service], people: int, progress: Callable[[int], None]) -> int:
    """Copy until about `people` people are stored, in whole copies of those there now. Returns how many there are."""
    connection = await asyncpg.connect(url, command_timeout=3600)
    try:
        await connection.execute("SET synchronous_commit = off")
        there = await count_people(connection)
        copies = max(0, people // there - 1)
        await connection.execute("CREATE SCHEMA seed")
        tables = [t for service in services for t in await _tables(connection, service.schema)]
        for schema, table, _ in tables:
            await connection.execute(f"CREATE TABLE seed.{schema}_{table} AS SELECT * FROM {schema}.{table}")
        for first in range(1, copies + 1, AT_ONCE):
            last = min(copies, first + AT_ONCE - 1)
            for schema, table, columns in tables:
                await connection.execute(_copy(schema, table, columns, there, range(first, last + 1)))
            progress(there * (last + 1))
        await connection.execute("DROP SCHEMA seed CASCADE")
        await connection.execute("ANALYZE")
        await connection.execute("CHECKPOINT")
        return await count_people(connection)
    finally:
        await connection.close()


async def _tables(connection: "asyncpg.Connection[Any]", schema: str) -> list[tuple[str, str, dict[str, str]]]:
    """Schema, table, and its columns with their types. A partitioned table stands for its parts."""
    partitions = {
        row[0]
        for row in await connection.fetch(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = $1 AND c.relispartition",
            schema,
        )
    }
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in await connection.fetch(COLUMNS, schema):
        if table not in LEFT_ALONE | partitions:
            found.setdefault(table, {})[column] = kind
    return [(schema, table, columns) for table, columns in found.items()]


def _copy(schema: str, table: str, columns: dict[str, str], there: int, copies: range) -> str:
    """`there` people are stored already, some of them as copies: new ids must not be theirs."""
    values = ", ".join(_value(schema, table, column, kind, there) for column, kind in columns.items())
    return (
        f"INSERT INTO {schema}.{table} ({', '.join(columns)}) SELECT {values} "
        f"FROM seed.{schema}_{table} s CROSS JOIN generate_series({copies.start}, {copies.stop - 1}) k"
    )


def _value(schema: str, table: str, column: str, kind: str, there: int) -> str:
    if kind == "uuid":
        old = f"replace(s.{column}::text, '-', '')"
        return f"(left({old}, 12) || substr(md5(s.{column}::text || {there} || k), 13))::uuid"
    if column == "assessment_id":
        return f"s.assessment_id || '-{there}-' || k"
    if table == "outbox" and column == "off":
        low = f"(SELECT least(min(off), 0) FROM seed.{schema}_outbox)"
        many = f"(SELECT max(off) + 1 - {low} FROM seed.{schema}_outbox)"
        return f"{low} - 1 - (s.off - {low}) - (k - 1) * {many}"  # below all there is: sent long ago
    if table == "outbox" and column == "payload":
        return "''::bytea"
    return f"s.{column}"
