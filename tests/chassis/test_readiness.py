"""Ready means: migrations done, topics made, partitions given. Not before."""

import asyncio
import uuid
from collections.abc import Callable

import httpx
import pytest
from structlog.testing import capture_logs

from chassis.bus import Bus
from chassis.bus_embedded import EmbeddedBus
from chassis.database import Database
from chassis.run import Running, app_of
from chassis.service import Handlers
from deploy.one_process import service_passwords
from deploy.postgres import EmbeddedPostgres
from deploy.prepare import engine_for, prepare_database
from tests.chassis.probe import TOPIC, Probe, service_with
from tests.conftest import ask_server


async def readiness(running: Running) -> tuple[int, dict[str, bool]]:
    transport = httpx.ASGITransport(app_of("Probe", [running]))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        assert (await http.get("/livez")).status_code == 200, "whatever is missing, the process is alive"
        answer = await http.get("/readyz")
        return answer.status_code, answer.json()


async def until_ready(running: Running) -> tuple[int, dict[str, bool]]:
    for _ in range(200):
        status, checks = await readiness(running)
        if status == 200:
            break
        await asyncio.sleep(0.1)
    return status, checks


async def test_not_before_the_topics_are_there_and_the_partitions_given(
    bus: Bus, new_database_of_probe: Callable[[], Database]
) -> None:
    probe = Probe(new_database_of_probe(), bus)
    running = Running(probe.service, bus, probe.database)
    assert await readiness(running) == (
        503,
        {"probe_migrations": True, "probe_topics": False, "probe_assigned": False},
    )
    await bus.create_topics([TOPIC])
    assert await readiness(running) == (503, {"probe_migrations": True, "probe_topics": True, "probe_assigned": False})
    running.start()
    assert await until_ready(running) == (
        200,
        {"probe_migrations": True, "probe_topics": True, "probe_assigned": True},
    )
    await running.stop()
    assert (await readiness(running))[0] == 503


async def test_not_before_the_migrations_nor_on_others_than_this_code_knows(postgres: EmbeddedPostgres) -> None:
    name, service = f"test_{uuid.uuid4().hex}", service_with(Handlers())
    await ask_server(postgres, f"CREATE DATABASE {name}")
    owner = engine_for(postgres.url(postgres.superuser, postgres.password, name))
    database = Database(postgres.url(postgres.superuser, postgres.password, name), service.schema)
    running = Running(service, EmbeddedBus(owner), database)
    with capture_logs():
        status, checks = await readiness(running)
        assert (status, set(checks.values())) == (503, {False})
        password = service_passwords(postgres)
        await prepare_database(owner, [service], lambda _: password)
        await running.bus.create_topics(service.topics())
        running.start()
        assert (await until_ready(running))[0] == 200
        await ask_server(postgres, "UPDATE probe.alembic_version SET version_num = '0000'", name)
        assert (await readiness(running))[1]["probe_migrations"] is False
        await running.stop()
    await owner.dispose()


@pytest.mark.parametrize("asked", ["readyz", "livez"])
async def test_a_database_that_is_gone_fails_readiness_and_not_liveness(postgres: EmbeddedPostgres, asked: str) -> None:
    service = service_with(Handlers())
    database = Database("postgresql://nobody:secret-canary@127.0.0.1:1/none", service.schema)
    running = Running(service, EmbeddedBus(database.engine), database)
    transport = httpx.ASGITransport(app_of("Probe", [running]))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        answer = await http.get(f"/{asked}")
    assert answer.status_code == (503 if asked == "readyz" else 200)
    assert "secret-canary" not in answer.text
    await running.stop()
