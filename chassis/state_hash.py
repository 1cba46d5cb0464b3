"""What a service's schema holds, as one hash a table: equal where two schemas hold the same, whenever it was written.

A row counts as the JSON of its columns, sorted by name. Left out are the chassis' own tables, identity columns, moments
of writing (`timestamptz` columns named …_at) and `Service.derived`, which a migration may have filled in otherwise.
"""

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.migrate import chassis_tables

TABLES = text("""
SELECT c.relname AS name,
  ARRAY(SELECT CAST(a.attname AS text) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity = ''
        AND CAST(c.relname AS text) || '.' || a.attname <> ALL(CAST(:derived AS text[]))
        AND NOT (a.atttypid = CAST('timestamptz' AS regtype) AND right(a.attname, 3) = '_at') ORDER BY 1) AS columns,
  ARRAY(SELECT CAST(a.attname AS text) FROM pg_index i JOIN pg_attribute a
        ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey)
        WHERE i.indrelid = c.oid AND i.indisprimary ORDER BY 1) AS key
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = :schema AND c.relkind = 'r' AND NOT c.relispartition AND c.relname <> ALL(CAST(:not AS text[]))
ORDER BY 1
""")
Rows = AsyncIterator[tuple[str, bytes]]
UTC = text("SELECT set_config('TimeZone', 'UTC', true)")


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` are those that count; `key` those of the primary key that do, or all columns."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]


class Difference(msgspec.Struct, frozen=True):
    """The first row that is not the same: JSON of its key, and in which of the two it is."""

    table: str
    key: str
    found: str


async def state_hash(connection: AsyncConnection, schema: str, derived: Sequence[str] = ()) -> dict[str, str]:
    """Table -> SHA-256, hexadecimal, of what it holds, without the columns `derived` (`table.column`). Reads in the
    caller's transaction; any role that may read."""
    found = {}
    for table in await tables(connection, schema, derived):
        digest = hashlib.sha256()
        async for _, row in rows(connection, schema, table):
            digest.update(row)
        found[table.name] = digest.hexdigest()
    return found


async def tables(connection: AsyncConnection, schema: str, derived: Sequence[str] = ()) -> list[Table]:
    values = {"schema": schema, "not": sorted(chassis_tables()), "derived": list(derived)}
    listed = await connection.execute(TABLES, values)
    return [Table(r.name, tuple(r.columns), _key(r)) for r in listed.all() if r.columns]


def _key(row: Any) -> tuple[str, ...]:
    return tuple(row.key) if row.key and set(row.key) <= set(row.columns) else tuple(row.columns)


async def rows(connection: AsyncConnection, schema: str, table: Table) -> Rows:
    """(key as JSON, SHA-256 of the row), sorted by the key's bytes."""
    await connection.execute(UTC)
    columns, key = (", ".join(f'"{name}"' for name in names) for names in (table.columns, table.key))
    sql = f"""
    SELECT CAST(jsonb_build_array({key}) AS text) COLLATE "C" AS key,
           sha256(convert_to(CAST(to_jsonb(t) AS text), 'UTF8')) AS hash
    FROM (SELECT {columns} FROM "{schema}"."{table.name}") t ORDER BY 1, 2
    """
    async with connection.stream(text(sql)) as found:
        async for row in found:
            yield row.key, bytes(row.hash)


async def first_difference(
    one: tuple[AsyncConnection, str], other: tuple[AsyncConnection, str], derived: Sequence[str] = ()
) -> Difference | None:
    """Between two schemas, table by table and key by key; None where they hold the same but for `derived`."""
    mine = {t.name: t for t in await tables(*one, derived)}
    others = {t.name: t for t in await tables(*other, derived)}
    for name in sorted(mine.keys() | others.keys()):
        if name not in mine or name not in others:
            return Difference(name, "", "only in the first" if name in mine else "only in the second")
        found = await _first_of(rows(*one, mine[name]), rows(*other, others[name]))
        if found is not None:
            return Difference(name, *found)
    return None


async def _first_of(mine: Rows, others: Rows) -> tuple[str, str] | None:
    while True:
        left, right = await anext(mine, None), await anext(others, None)
        if left is None and right is None:
            return None
        if left == right:
            continue
        if left and right and left[0] == right[0]:
            return left[0], "different in both"
        if right is None or (left is not None and left[0].encode() < right[0].encode()):
            assert left is not None
            return left[0], "only in the first"
        return right[0], "only in the second"
