"""The embedded servers, for real: started, killed, restarted and left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.child import PORTS, DeployError
from deploy.kafka import EmbeddedKafka
from deploy.postgres import EmbeddedPostgres

ROOT = Path(__file__).parents[2]
START_AND_DIE = """
import os, sys
from pathlib import Path
from deploy.postgres import EmbeddedPostgres
EmbeddedPostgres.start(Path(sys.argv[1]))
os.kill(os.getpid(), 9)
"""


async def ask(server: EmbeddedPostgres, sql: str) -> Any:
    connection = await asyncpg.connect(server.url(server.superuser, server.password, "postgres"))
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_postgres_is_18_on_a_low_loopback_port(postgres: EmbeddedPostgres) -> None:
    assert postgres.host == "127.0.0.1"
    assert postgres.port in PORTS
    assert PORTS.stop <= 32768
    assert (await ask(postgres, "SHOW server_version")).startswith("18.")
    assert await ask(postgres, "SHOW listen_addresses") == "127.0.0.1"
    assert await ask(postgres, "SHOW data_checksums") == "on"


async def test_postgres_wants_the_password(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.url(postgres.superuser, "guess", "postgres"))
    assert postgres.folder.password_file.stat().st_mode & 0o777 == 0o600


async def test_postgres_keeps_committed_rows_through_kill_and_restart(place: Path) -> None:
    with EmbeddedPostgres.start(place / "db") as server:
        await ask(server, "CREATE TABLE kept (n int)")
        await ask(server, "INSERT INTO kept VALUES (7)")
        port = server.port
        server.kill()
        server.restart()
        assert server.port == port
        assert await ask(server, "SELECT n FROM kept") == 7
        os.kill(server.pid, signal.SIGKILL)  # by somebody else
        server.restart()
        assert await ask(server, "SELECT n FROM kept") == 7
    with EmbeddedPostgres.start(place / "db") as again:
        assert await ask(again, "SELECT n FROM kept") == 7


async def test_two_postgres_at_once_and_a_throwaway_leaves_nothing() -> None:
    with EmbeddedPostgres.start(None) as one, EmbeddedPostgres.start(None, fast=True) as other:
        assert one.port != other.port
        assert await ask(one, "SHOW fsync") == "on"
        assert await ask(other, "SHOW fsync") == "off"
    one.stop()  # again
    assert not one.folder.home.exists()
    assert not other.folder.home.exists()


def test_a_folder_in_use_is_refused(place: Path) -> None:
    with EmbeddedPostgres.start(place), pytest.raises(DeployError, match="in use by process"):
        EmbeddedPostgres.start(place)


def test_durability_is_not_given_up_for_kept_data(place: Path) -> None:
    with pytest.raises(DeployError, match="throwaway"):
        EmbeddedPostgres.start(place, fast=True)


async def test_a_dead_servers_pid_file_naming_a_living_process_is_no_hindrance(place: Path) -> None:
    EmbeddedPostgres.start(place).stop()
    (place / "data" / "postmaster.pid").write_text(f"{os.getppid()}\n{place / 'data'}\n")
    with EmbeddedPostgres.start(place) as server:
        assert await ask(server, "SELECT 1") == 1


async def test_postgres_started_in_a_thread_outlives_the_thread() -> None:
    started: list[EmbeddedPostgres] = []
    thread = threading.Thread(target=lambda: started.append(EmbeddedPostgres.start(None, fast=True)))
    thread.start()
    thread.join()
    await asyncio.sleep(0.2)  # longer than a shutdown would take
    with started[0] as server:
        assert await ask(server, "SELECT 1") == 1


def test_postgres_does_not_outlive_a_killed_parent(place: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", START_AND_DIE, str(place)], cwd=ROOT, check=False)
    assert ran.returncode == -signal.SIGKILL
    EmbeddedPostgres.start(place).stop()  # would be refused while the orphan lives


async def test_kafka_keeps_records_through_kill_and_restart(kafka: EmbeddedKafka) -> None:
    topic = "embedded-parts"
    assert int(kafka.bootstrap.rpartition(":")[2]) in PORTS
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    await producer.send_and_wait(topic, b"kept", key=b"person")
    await producer.stop()
    assert await first_record(kafka, topic) == b"kept"
    kafka.kill()
    kafka.restart()
    assert await first_record(kafka, topic) == b"kept"


async def first_record(kafka: EmbeddedKafka, topic: str) -> bytes | None:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, 0)])
    await consumer.start()
    try:
        value: bytes | None = (await consumer.getone()).value
        return value
    finally:
        await consumer.stop()
