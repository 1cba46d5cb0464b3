"""The deployment that is measured: the assessment service in this process, the others in processes of their own.

python -m deploy.bench.house CONFIGURATION   (a worker; started by `opened`)
"""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from subprocess import Popen

import msgspec

from chassis import telemetry
from chassis.bus import Bus
from chassis.bus_embedded import EmbeddedBus
from chassis.bus_kafka import KafkaBus
from chassis.database import Database
from chassis.run import Running, role_of, settle
from chassis.service import Service
from chassis.settings import DEVELOPMENT_PEPPER
from deploy.bench import hops
from deploy.child import DeployError, end, spawn, tail
from deploy.kafka import EmbeddedKafka, missing_tools
from deploy.one_process import service_passwords
from deploy.postgres import EmbeddedPostgres
from deploy.prepare import create_database, engine_for, prepare_database, prepare_topics
from deploy.services import all_services

DATABASE = "bench"
READY_SECONDS = 120
HOME = "assessment"
"""The service whose commands start every chain; it runs beside whoever gives the commands."""


class Work(msgspec.Struct, frozen=True):
    """What a worker is to run. `kafka` None: the log is in the database."""

    services: tuple[str, ...]
    database_url: str
    kafka: str | None
    ready: str


class House:
    """`postgres` and `kafka` are ours; `home` is the assessment service at work in this process."""

    def __init__(self, postgres: EmbeddedPostgres, kafka: EmbeddedKafka | None, bus: Bus, home: Running) -> None:
        self.postgres, self.kafka, self.bus, self.home = postgres, kafka, bus, home
        self.workers: dict[str, Popen[bytes]] = {}
        self.superuser_url = postgres.url(postgres.superuser, postgres.password, DATABASE)

    def processes(self) -> dict[str, int]:
        found = {"assessment and harness": os.getpid(), **{n: p.pid for n, p in self.workers.items()}}
        found["PostgreSQL"] = self.postgres.pid
        return found | ({"Kafka": self.kafka.pid} if self.kafka else {})

    def raise_if_ended(self) -> None:
        self.home.raise_if_crashed()
        for name, process in self.workers.items():
            if process.poll() is not None:
                raise DeployError(f"the worker for {name} ended")


def shares(services: Sequence[Service]) -> dict[str, list[Service]]:
    """Which services share a process: the one that combines answers, and those that answer."""
    away = [s for s in services if s.name != HOME]
    answering = [s for s in away if s.schema.startswith("stream_")]
    return {"allocation": [s for s in away if s not in answering], "streams": answering}


@asynccontextmanager
async def opened(bus_name: str) -> AsyncIterator[House]:
    """Start everything, durable commits and all. Raises DeployError where Kafka cannot run."""
    services = all_services()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tributary-bench-")))
        postgres = stack.enter_context(EmbeddedPostgres.start(settings=hops.SERVER))
        kafka = _kafka(stack) if bus_name == "kafka" else None
        password = service_passwords(postgres)
        await create_database(postgres.url(postgres.superuser, postgres.password, "postgres"), DATABASE)
        owner = engine_for(postgres.url(postgres.superuser, postgres.password, DATABASE))
        await prepare_database(owner, services, lambda _: password)
        bus: Bus = KafkaBus(kafka.bootstrap) if kafka else EmbeddedBus(owner)
        await prepare_topics(bus, services)
        own = next(s for s in services if s.name == HOME)
        template = postgres.url("ROLE", password, DATABASE)
        home = Running(own, bus, _database(template, own), pepper=DEVELOPMENT_PEPPER)
        house = House(postgres, kafka, bus, home)
        for name, share in shares(services).items():
            work = Work(
                tuple(s.name for s in share),
                template,
                kafka.bootstrap if kafka else None,
                str(folder / f"{name}.ready"),
            )
            house.workers[name] = _start(work, folder / f"{name}.log")
            stack.callback(end, house.workers[name], ((signal.SIGTERM, 10.0),))
        await _until_ready(house, folder)
        settle()
        home.start()
        try:
            yield house
        finally:
            await home.stop()
            await bus.close()
            await owner.dispose()


def _kafka(stack: ExitStack) -> EmbeddedKafka:
    if problem := missing_tools():
        raise DeployError(f"{problem}; or use --bus embedded")
    return stack.enter_context(EmbeddedKafka.start())


def _database(template: str, service: Service) -> Database:
    return Database(template.replace("ROLE", role_of(service), 1), service.schema)


def _start(work: Work, log: Path) -> "Popen[bytes]":
    command = [sys.executable, "-m", "deploy.bench.house", msgspec.json.encode(work).decode()]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return spawn(command, log=log, environment=environment, on_our_death=signal.SIGKILL)


async def _until_ready(house: House, folder: Path) -> None:
    loop = asyncio.get_running_loop()
    limit = loop.time() + READY_SECONDS
    while missing := [name for name in house.workers if not (folder / f"{name}.ready").exists()]:
        ended = [name for name in missing if house.workers[name].poll() is not None]
        if ended or loop.time() > limit:
            raise DeployError(f"the worker for {missing[0]} did not start:\n{tail(folder / f'{missing[0]}.log')}")
        await asyncio.sleep(0.1)


async def work_on(work: Work) -> None:
    """A worker: run its services until told to end."""
    running: list[Running] = []
    bus: Bus | None = KafkaBus(work.kafka) if work.kafka else None
    for service in all_services():
        if service.name in work.services:
            database = _database(work.database_url, service)
            bus = bus or EmbeddedBus(database.engine)
            running.append(Running(service, bus, database, pepper=DEVELOPMENT_PEPPER))
    for one in running:
        one.start()
    await _assigned(running, Path(work.ready))
    try:
        await asyncio.gather(*(one.crashed() for one in running))
    finally:
        await asyncio.gather(*(one.stop() for one in running))


async def _assigned(running: Sequence[Running], mark: Path) -> None:
    """Make `mark` once every consumer has its partitions."""
    while not all(one.consuming.ready for one in running):  # noqa: ASYNC110 - the bus has no event for it
        await asyncio.sleep(0.1)
    settle()
    await asyncio.to_thread(mark.touch)


def main(arguments: list[str]) -> None:
    telemetry.set_up_logs(level="WARNING")
    asyncio.run(work_on(msgspec.json.decode(arguments[0], type=Work)))


if __name__ == "__main__":
    main(sys.argv[1:])
