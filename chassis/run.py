"""Run one service: its consumer, its relay, its timers and its API.

python -m chassis.run services.ras
"""

import asyncio
import contextlib
import gc
import importlib
import logging
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import operations, telemetry, trace
from chassis.audit_anchor import EVERY_SECONDS, Signer, anchor, signing_key
from chassis.auth import DEVELOPMENT_ISSUER, NOBODY, Verifier, verifier_of
from chassis.bus import Bus
from chassis.bus_embedded import EmbeddedBus
from chassis.bus_kafka import KafkaBus
from chassis.consume import Consuming
from chassis.database import Database, is_transient
from chassis.loop_watch import watch_loop
from chassis.migrate import head
from chassis.observe import Sampler
from chassis.relay import Relay
from chassis.service import Clock, Deps, Service, SystemClock, Timer
from chassis.settings import NotSetUp, Settings, explained
from chassis.transaction import Transaction, Transactions
from chassis.web import build_app


class Running:
    """A service at work. `start` returns once its tasks run; `crashed` ends with the first task that fails."""

    def __init__(
        self,
        service: Service,
        bus: Bus,
        database: Database,
        clock: Clock | None = None,
        pepper: bytes = b"",
        signer: Signer | None = None,
    ) -> None:
        self.service, self.bus, self.database = service, bus, database
        self.transactions = Transactions(database, service.name, clock or SystemClock())
        self.consuming = Consuming(service.name, service.handlers, bus, self.transactions)
        self.relay = Relay(bus, self.transactions)
        self.sampler = Sampler(service, database, self.consuming)
        self.deps = Deps(database, self.transactions.clock, pepper, self.transactions)
        self.signer = signer
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        work: list[Coroutine[Any, Any, None]] = [self.relay.run(), self.sampler.run()]
        if self.service.handlers.subscriptions:
            work.append(self.consuming.run())
        if self.signer is not None:
            work.append(self._timer(Timer("audit_anchor", EVERY_SECONDS, self._anchor)))
        work.extend(self._timer(timer) for timer in self.service.timers)
        self._tasks = [asyncio.create_task(w, name=f"{self.service.name}:{i}") for i, w in enumerate(work)]

    async def crashed(self) -> None:
        """Wait for a task to end, which none should, and raise what ended it."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    def raise_if_crashed(self) -> None:
        """Raise what ended a task, where one has ended by itself."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def stop(self) -> None:
        await _ended(self._tasks)
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self.relay.stop(), 2)
        await self.database.close()

    @property
    def alive(self) -> bool:
        """Its consumer goes round, if only to find the broker or the database away still."""
        return not self.service.handlers.subscriptions or self.consuming.progress.alive

    async def ready(self) -> dict[str, bool]:
        """Migrations at head, topics made, partitions assigned."""
        async with self.database.engine.connect() as connection:
            at = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar()
        missing = await self.bus.missing_topics(self.service.topics())
        assigned = not self.service.handlers.subscriptions or self.consuming.ready
        name = self.service.name
        return {
            f"{name}_migrations": at == head(self.service),
            f"{name}_topics": not missing,
            f"{name}_assigned": assigned,
        }

    async def _anchor(self, tx: Transaction) -> None:
        assert self.signer is not None
        await anchor(tx, self.service.name, self.signer)

    async def _timer(self, timer: Timer) -> None:
        """By one process at a time: who holds the advisory lock works, the others skip this round."""
        lock = "SELECT pg_try_advisory_xact_lock(hashtext(:name))"
        name = f"{self.service.schema}.{timer.name}"
        while True:
            await asyncio.sleep(timer.seconds)
            try:
                async with self.transactions() as tx:
                    if (await tx.execute(lock, {"name": name})).scalar():
                        await timer.work(tx)
            except Exception as fault:
                if not is_transient(fault):
                    raise
                telemetry.logger(self.service.name).warning("timer_waits", timer=timer.name)


async def _ended(tasks: "list[asyncio.Task[None]]") -> None:
    """Cancel until every one has ended: a fault while rolling back replaces a cancellation, and the work goes on."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=1)
    await asyncio.gather(*tasks, return_exceptions=True)


def app_of(title: str, running: list[Running], verifier: Verifier = NOBODY, *, described: bool = False) -> FastAPI:
    """One application over one or more running services."""

    async def ready() -> dict[str, bool]:
        found: dict[str, bool] = {}
        for one in running:
            found |= await one.ready()
        return found

    routers = [router for one in running for router in operations.routers_of(one.service, one.deps)]
    alive = lambda: all(one.alive for one in running)  # noqa: E731
    return build_app(title, routers, ready, alive, verifier, described=described)


@asynccontextmanager
async def started(running: list[Running]) -> AsyncIterator[None]:
    watching = asyncio.create_task(watch_loop(), name="loop_watch")
    for one in running:
        one.start()
    try:
        yield
    finally:
        await asyncio.gather(*(one.stop() for one in running))
        await _ended([watching])


def service_named(module: str) -> Service:
    """The `service` value of a module. Raises NotSetUp."""
    try:
        found = getattr(importlib.import_module(module), "service", None)
    except ModuleNotFoundError as fault:
        if not f"{module}.".startswith(f"{fault.name}."):
            raise
        found = None
    if not isinstance(found, Service):
        raise NotSetUp(f"{module} is no service: name the module of one, as services.ras")
    return found


def settle() -> None:
    """Tell the garbage collector that what was imported stays, and to look less often.

    A batch makes some ten thousand objects that no cycle holds; looking through them took a fifth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def role_of(service: Service) -> str:
    """The database role of a service: it may use its own schema and nothing else."""
    return f"tributary_{service.schema}"


async def make_bus(settings: Settings, engine: AsyncEngine) -> Bus:
    if settings.bus == "kafka":
        return KafkaBus(settings.kafka_bootstrap, **settings.kafka_options())
    return EmbeddedBus(engine)


def say_in_one_line(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What nobody waited for and failed. aiokafka leaves such tasks behind when a broker goes; any other is a bug."""
    fault = context.get("exception")
    kind = type(fault)
    if kind.__module__.startswith("aiokafka"):
        telemetry.logger("loop").info("kafka_task_failed", fault=kind.__name__)
    else:
        telemetry.logger("loop").error("task_failed", fault=kind.__name__, where=str(context.get("message"))[:80])


EDGE: dict[str, Any] = {
    "log_config": None,
    "access_log": False,
    "proxy_headers": False,  # who calls is in the token; no header says otherwise
    "server_header": False,
    "ws": "none",
    "h11_max_incomplete_event_size": 32 * 1024,
    "limit_concurrency": 500,
}


async def serve(service: Service, settings: Settings) -> None:
    """Run one service until it fails or is told to stop. Raises NotSetUp."""
    asyncio.get_running_loop().set_exception_handler(say_in_one_line)
    verifier, keys = verifier_of(settings)
    development = verifier.issuer == DEVELOPMENT_ISSUER
    if development:
        telemetry.logger(service.name).warning("development_issuer", says="whoever has its key file may do anything")
    database = Database(settings.database_url(role_of(service)), service.schema)
    bus = await make_bus(settings, database.engine)
    key_file = settings.audit_key_file
    signer = Signer(signing_key(key_file), settings.audit_anchors_file) if key_file else None
    running = Running(service, bus, database, pepper=settings.pepper(), signer=signer)
    app = app_of(service.title, [running], verifier, described=development)
    # chassis.web has answered it and said so; uvicorn would repeat it with all it was about
    logging.getLogger("uvicorn.error").addFilter(lambda line: not line.exc_info)
    server = uvicorn.Server(uvicorn.Config(app, settings.host, settings.port, lifespan="off", **EDGE))
    settle()
    async with started([running]):
        ends = [asyncio.create_task(work) for work in (server.serve(), running.crashed(), keys.run())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        for task in ends:
            if task.done():
                task.result()
            else:
                task.cancel()
        await asyncio.gather(*ends, return_exceptions=True)
    await bus.close()


def main(arguments: list[str]) -> None:
    try:
        if len(arguments) != 1:
            raise NotSetUp("usage: python -m chassis.run services.ras   (settings: TRIBUTARY_…, see README.md)")
        settings = Settings()
        telemetry.set_up_logs(level=settings.log_level, as_json=settings.log_format == "json")
        # without a broker it writes hundreds of lines a second; our own say the same once
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        trace.set_up(sample=settings.trace_sample)
        asyncio.run(serve(service_named(arguments[0]), settings))
    except Exception as fault:
        if (found := explained(fault)) is None:
            raise
        sys.stderr.write(f"tributary: {found[0]}\n")
        raise SystemExit(found[1]) from None


if __name__ == "__main__":
    main(sys.argv[1:])
