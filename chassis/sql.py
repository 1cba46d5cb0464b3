"""Statements with `:named` values, sent to PostgreSQL by asyncpg as they are: on the way of every message, SQLAlchemy's
own layers cost as much as the statements themselves (docs/adr/0011)."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import asyncpg

_NAMED = re.compile(r"(?<![:\w]):(\w+)(?!:)")


class Row(asyncpg.Record):
    """A row whose columns are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            _no_column(name)


def _no_column(name: str) -> NoReturn:
    raise AttributeError(f"the statement has no column {name}")


class Rows:
    """What a statement found, or wrote with RETURNING."""

    def __init__(self, found: Sequence[Any]) -> None:
        self._found = found

    def all(self) -> Sequence[Any]:
        return self._found

    def first(self) -> Any:
        return self._found[0] if self._found else None

    def one(self) -> Any:
        (row,) = self._found
        return row

    def scalar(self) -> Any:
        """The first column of the first row; None where there is none."""
        return self._found[0][0] if self._found else None

    def scalars(self) -> list[Any]:
        return [row[0] for row in self._found]


def positional(sql: str) -> tuple[str, tuple[str, ...]]:
    """`:name` as `$1`, and which name each number stands for. Worked out once a statement."""
    known = _known.get(sql)
    if known is None:
        names = tuple(dict.fromkeys(_NAMED.findall(sql)))
        numbers = {name: f"${n}" for n, name in enumerate(names, 1)}
        known = _known[sql] = (_NAMED.sub(lambda found: numbers[found[1]], sql), names)
    return known


_known: dict[str, tuple[str, tuple[str, ...]]] = {}


async def fetch(connection: Any, sql: str, values: Mapping[str, Any]) -> Rows:
    """Run one statement on an asyncpg connection. Raises asyncpg.PostgresError, asyncpg.InterfaceError, OSError."""
    text, names = positional(sql)
    return Rows(await connection.fetch(text, *[values[name] for name in names]))
