"""Running the embedded bus's statements: one round trip each, a deadline, one kind of error."""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
from sqlalchemy import CursorResult, TextClause
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import bus_embedded_sql as sql
from chassis.bus import BusUnavailable

# asyncpg's own errors and bare OSErrors come past SQLAlchemy when a connection breaks while made or read.
_BROKEN = (
    DBAPIError,
    OSError,
    TimeoutError,
    PoolTimeout,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
_BUGS = (DataError, IntegrityError, NotSupportedError, ProgrammingError)


class Store:
    """The tables of one embedded bus. `timeout` (s) bounds every statement, getting a connection included."""

    def __init__(self, engine: AsyncEngine, schema: str, timeout: float) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._schema = sql.checked(schema)
        self._statements: dict[str, TextClause] = {}
        self._timeout = timeout

    async def rows(self, template: str, **values: Any) -> Sequence[Any]:
        """All rows of the statement. Raises BusUnavailable; errors that are bugs pass as they are."""
        return (await self._run(template, values)).all()

    async def count(self, template: str, **values: Any) -> int:
        """How many rows the statement wrote. Raises as `rows`."""
        return (await self._run(template, values)).rowcount

    async def _run(self, template: str, values: dict[str, Any]) -> CursorResult[Any]:
        if template not in self._statements:
            self._statements[template] = sql.statement(template, self._schema)
        try:
            async with asyncio.timeout(self._timeout), self._engine.connect() as connection:
                return await connection.execute(self._statements[template], values)  # all rows are read here
        except _BUGS:
            raise
        except _BROKEN as error:
            raise BusUnavailable(f"the bus's database did not answer: {error!r:.200}") from error
