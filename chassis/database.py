"""One service's database: its own schema and role, transactions that are retried when the fault is transient.

A connection error means *outcome unknown*, never "not committed": the same work is done again with the same ids, and
the inbox or a unique key makes the repeat harmless.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from chassis.sql import Row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

T = TypeVar("T")

CONNECT_SECONDS = 10
CLOSE_SECONDS = 2

SESSION_SETTINGS = {
    "statement_timeout": "15s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "10s",
    "transaction_timeout": "30s",
    "tcp_keepalives_idle": "30",
}
"""A worker that is frozen or gone must not keep its row locks (PostgreSQL 17 and later)."""

_TRANSIENT_STATES = ("08", "40001", "40P01", "53", "55P03", "57014", "57P")
"""Connection lost, serialisation failure, deadlock, out of room or slots, lock or statement time-out, shutting down."""


def is_transient(fault: BaseException) -> bool:
    """Whether trying the same work again can help. Everything else is deterministic: a bug or a bad message."""
    if isinstance(fault, DBAPIError):
        state = getattr(fault.orig, "sqlstate", None) or ""
        # an internal error without a state is the driver's own: it lost its place on a connection that was cut
        lost = isinstance(fault, InterfaceError) or (isinstance(fault, InternalError) and not state)
        return fault.connection_invalidated or lost or state.startswith(_TRANSIENT_STATES)
    if isinstance(fault, asyncpg.PostgresError):
        return (fault.sqlstate or "").startswith(_TRANSIENT_STATES)
    return isinstance(fault, _TRANSIENT)


def fault_code(fault: BaseException) -> str:
    """A label for a fault: PostgreSQL's five-character state where it gave one, else the exception's name."""
    return getattr(getattr(fault, "orig", fault), "sqlstate", None) or type(fault).__name__


def is_outcome_unknown(fault: BaseException) -> bool:
    """Whether a transaction that ended so may have been committed all the same."""
    state = getattr(getattr(fault, "orig", fault), "sqlstate", None) or ""
    return is_transient(fault) and not isinstance(fault, Raced) and (not state or state.startswith(("08", "57P")))


async def _as_it_is(_: Any) -> None:
    return None


class Raced(Exception):
    """Somebody else opened the same row first. Nothing was written; the same work again will find it."""


_TRANSIENT = (
    Raced,
    OSError,
    TimeoutError,
    NoConnectionFree,
    asyncpg.InternalClientError,
    asyncpg.InterfaceError,
)


class Backoff:
    """Full jitter between attempts, doubling from `first` to `most` seconds."""

    def __init__(self, first: float = 0.05, most: float = 5.0) -> None:
        self._next, self._most = first, most

    async def wait(self) -> None:
        await asyncio.sleep(random.uniform(self._next / 2, self._next))
        self._next = min(self._next * 2, self._most)


class Database:
    """`schema` is the only one this service sees. `session` settings replace those for a worker.
    `url` is `postgresql://role:password@host:port/name`. `pool` connections are for transactions and the relay;
    `engine` has two of its own for what is not in a hurry."""

    def __init__(self, url: str, schema: str, *, pool: int = 8, session: Mapping[str, str] | None = None) -> None:
        self.schema = schema
        connecting: dict[str, Any] = {
            "server_settings": {
                "search_path": schema,
                "application_name": schema,
                "jit": "off",
                **SESSION_SETTINGS,
                **(session or {}),
            },
            "record_class": Row,
            "timeout": CONNECT_SECONDS,
            "command_timeout": None if session else 30,
        }
        self.engine: AsyncEngine = create_async_engine(
            url.replace("postgresql://", "postgresql+asyncpg://", 1),
            pool_size=1,
            max_overflow=1,
            pool_timeout=CONNECT_SECONDS,
            hide_parameters=True,  # a fault's text goes to logs, and what was to be stored is about people
            connect_args=connecting,
        )
        # no reset: nobody here leaves a session's setting, lock or cursor behind a transaction
        self._pool = asyncpg.create_pool(url, min_size=0, max_size=pool, reset=_as_it_is, **connecting)

    @asynccontextmanager
    async def connection(self) -> "AsyncIterator[Any]":
        """An asyncpg connection; each statement is a transaction of its own. Waits at most CONNECT_SECONDS for one."""
        await self._pool  # the first time, it makes its places; no connection yet
        async with self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
            yield connection

    @asynccontextmanager
    async def begin(self) -> "AsyncIterator[Any]":
        """One transaction on an asyncpg connection: commits at the end of the block, rolls back when it raises."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    def in_use(self) -> int:
        return self._pool.get_size() - self._pool.get_idle_size()

    def most(self) -> int:
        return self._pool.get_max_size()

    async def retrying(
        self,
        work: Callable[[], Awaitable[T]],
        *,
        attempts: int = 8,
        again: Callable[[Exception], None] = lambda _: None,
    ) -> T:
        """Run `work` (a whole transaction) again while its fault is transient, at most `attempts` times. `again` is
        told of each fault that is not the last."""
        backoff = Backoff()
        for attempt in range(1, attempts + 1):
            try:
                return await work()
            except Exception as fault:
                if attempt == attempts or not is_transient(fault):
                    raise
                again(fault)
                await backoff.wait()
        raise AssertionError("unreachable")

    async def close(self) -> None:
        await self._pool
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._pool.close()
        except (TimeoutError, OSError, asyncpg.InterfaceError):
            self._pool.terminate()  # what is under way is rolled back
        await self.engine.dispose()
