"""Parked messages once more through the topic they came from: handled once, nowhere twice, audited."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from chassis import inbox
from chassis.bus_embedded import EmbeddedBus
from chassis.database import Database
from chassis.relay import Relay
from chassis.run import role_of
from chassis.service import SystemClock
from chassis.transaction import Transactions
from deploy.one_process import service_passwords
from deploy.prepare import prepare_topics
from deploy.services import all_services
from services.ras import service as ras
from tests.operations.desk import ONE, OTHER, Desk


@pytest_asyncio.fixture
async def relayed(desk: Desk) -> AsyncIterator[Callable[[], object]]:
    """What the relay of ras has to send, sent and taken in by payments."""
    bus = desk.running.bus
    assert isinstance(bus, EmbeddedBus)
    await prepare_topics(bus, all_services())
    database = Database(desk.postgres.url(role_of(ras), service_passwords(desk.postgres), desk.database), "ras")
    relay = Relay(bus, Transactions(database, "ras", SystemClock()))

    async def run() -> int:
        producer = await bus.producer("test")
        sent = await relay.send_pending(producer)
        consumer = await bus.consumer("payments", desk.running.service.handlers.topics())
        taken = 0
        while taken < sent:
            records = await consumer.poll(500, 5)
            taken += len(records)
            await desk.running.consuming.process([inbox.read(record) for record in records])
        await consumer.commit()
        await consumer.close()
        return sent

    yield run
    await database.close()


async def test_redriven_messages_are_handled_once(desk: Desk, relayed: Callable[[], "asyncio.Future[int]"]) -> None:
    desk.bad = {2}
    await desk.take(ONE, 1, 2, 3)
    await desk.take(OTHER, 2)
    ids = await desk.ask(f"SELECT event_id FROM payments.parked WHERE person_ref = '{ONE}' ORDER BY id")
    arguments = ["replay", "--mode", "redrive", "--service", "payments", "--person", str(ONE), "-q"]
    dry = await desk.cli(*arguments)
    assert (dry.exit_code, dry.stdout) == (0, f"would redrive payments:1 {ONE} messages: 2\n")
    unreasoned = await desk.cli(*arguments, "--yes")
    assert (unreasoned.exit_code, "reason_missing" in unreasoned.stderr) == (2, True)
    assert await desk.ask("SELECT 1 FROM ras.outbox") == []

    done = await desk.cli(*arguments, "--yes", "--reason", "the topic's reader was wrong")
    assert (done.exit_code, done.stdout) == (0, f"payments: {ONE} sent again: 2\n")
    again = await desk.ask("SELECT event_id, topic, source FROM ras.outbox ORDER BY off")
    assert [row["event_id"] for row in again] == [row["event_id"] for row in ids]
    assert {row["source"] for row in again} == {"/tributary/ras"}
    marked = await desk.ask(f"SELECT 1 FROM payments.inbox WHERE event_id IN ('{ids[0][0]}', '{ids[1][0]}')")
    assert marked == []
    (entry,) = await desk.audited("replay.redrive")
    assert (entry["reason"], entry["detail"]) == ("the topic's reader was wrong", {"messages": 2})

    assert await relayed() == 2, "and the first fails once more"
    found = await desk.ask(
        f"SELECT reason, attempts, ended FROM payments.parked WHERE person_ref = '{ONE}' ORDER BY id"
    )
    assert [tuple(row) for row in found] == [("handler_KeyError", 2, None), ("behind_parked", 0, None)]

    desk.bad = set()
    assert (await desk.cli(*arguments, "--yes", "--reason", "repaired")).exit_code == 0
    assert await relayed() == 2
    assert await desk.held(ONE) == [1, 2, 3]
    assert await desk.held(OTHER) == [], "nobody else's was touched"


async def test_what_cannot_be_read_or_has_no_publisher_is_not_sent_again(desk: Desk) -> None:
    await desk.take(ONE, 1, body=b"{}")
    refused = await desk.cli("replay", "--mode", "redrive", "--service", "payments", "--all", "--yes", "--reason", "x")
    assert refused.exit_code == 1
    assert "stays parked: not_redrivable" in refused.stdout
    (held,) = json.loads((await desk.cli("parked", "list", "--json")).stdout)
    assert held["ended"] is None
    assert await desk.ask("SELECT 1 FROM ras.outbox") == []


@pytest.mark.parametrize("mode", ["rebuild", "shadow"])
async def test_replays_by_the_command_line(desk: Desk, mode: str) -> None:
    nothing = await desk.cli("replay", "--mode", mode, "--service", "assessment")
    assert (nothing.exit_code, "cannot_replay" in nothing.stderr) == (2, True)
    done = await desk.cli("replay", "--mode", mode, "--service", "payments", "--reason", "drill")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["service"] == "payments"
    (entry,) = await desk.audited(f"replay.{mode}")
    assert (entry["reason"], entry["actor"][:4]) == ("drill", "cli:")
