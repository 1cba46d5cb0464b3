"""Rights on a real secured broker: each principal can do exactly its job, and is refused one step beyond it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import ApiVersionRequest

from chassis.bus import BusUnavailable, NotAllowed, Outgoing, TopicsMissing
from chassis.bus_kafka import KafkaBus
from chassis.service import Service, all_topics
from chassis.settings import Settings
from deploy.access import OPERATOR, OPERATOR_GROUPS, SUPER_USER, TOPIC_ADMIN, TWIN, acls, principal_of
from deploy.access import with_twins as twins
from deploy.kafka import EmbeddedKafka
from deploy.kafka.grants import Granting, bindings, granting
from deploy.one_process import one_process
from deploy.postgres import EmbeddedPostgres
from deploy.prepare import prepare_broker, prepare_topics
from deploy.services import all_services
from tests.conftest import NewDatabase, need_kafka
from tests.contracts.bus_help import eventually, read
from tests.deploy.asking import Asking, asking
from tests.golden.running import CASES, HERE
from tests.journeys.child import Child
from tributary.allocate import open_allocation
from tributary.case_lines import Case, Reader

pytestmark = pytest.mark.timeout(300)
SERVICES = all_services()
TOPICS = all_topics(SERVICES)
GROUPS = [s.name for s in SERVICES if s.handlers.subscriptions]
TRY = "try."
"""Topics that are only knocked at. Those without a prefix are the product's."""


OPERATORS = f"{TRY}{OPERATOR_GROUPS}x"
ALL = {TRY + topic for topic in TOPICS}


@dataclass(frozen=True)
class Secured:
    """Two deployments on one broker: the product's, and one with the prefix TRY."""

    broker: EmbeddedKafka
    admin: Granting

    def bus(self, principal: str, prefix: str = TRY, **options: Any) -> KafkaBus:
        security = self.broker.security(prefix + principal)
        return KafkaBus(self.broker.bootstrap, partitions=2, prefix=prefix, security=security, **options)

    def asking(self, principal: str) -> AbstractAsyncContextManager[Asking]:
        return asking(self.broker, TRY + principal)


@pytest_asyncio.fixture(scope="module")
async def secured(request: pytest.FixtureRequest) -> AsyncIterator[Secured]:
    """Made ready as `python -m deploy.prepare` does it."""
    need_kafka(request.config)
    with await asyncio.to_thread(EmbeddedKafka.start, secured=True) as broker:
        async with granting(broker.bootstrap, broker.security(SUPER_USER)) as admin:
            made = Secured(broker, admin)
            for prefix in ("", TRY):
                await prepare_broker(settings_of(broker, prefix), SERVICES, passwords_of(broker, prefix))
                bus = made.bus(TOPIC_ADMIN, prefix)
                await prepare_topics(bus, SERVICES)
                await bus.close()
            yield made


def settings_of(broker: EmbeddedKafka, prefix: str) -> Settings:
    return Settings(
        bus="kafka",
        kafka_bootstrap=broker.bootstrap,
        kafka_prefix=prefix,
        kafka_security="SASL_PLAINTEXT",
        kafka_user=SUPER_USER,
        kafka_password_file=broker.passwords.folder / SUPER_USER,
    )


def passwords_of(broker: EmbeddedKafka, prefix: str) -> Callable[[str], str | None]:
    """Nobody's twin has one."""
    return lambda user: None if user.endswith(TWIN) else broker.passwords.of(prefix + user)


def on_trial(names: set[str]) -> set[str]:
    return {TRY + name for name in names}


@dataclass(frozen=True)
class May:
    write: set[str]
    read: set[str]
    commit: dict[str, set[str]]
    find: set[str]


async def found(ask: Asking) -> May:
    groups = [*GROUPS, OPERATORS, TRY + "nobody's", *(TRY + name for name in GROUPS)]
    topics = sorted({*ALL, *TOPICS})
    finds, commits = await ask.may_find(groups), await ask.may_commit(groups, topics)
    return May(await ask.may_write(topics), await ask.may_read(topics), commits, finds)


def job_of(service: Service) -> May:
    reads, writes = set(service.handlers.topics()), set(service.topics_written())
    group = {TRY + service.name: on_trial(reads)} if reads else {}
    return May(on_trial(writes), on_trial(reads), group, set(group))


@pytest.mark.parametrize("service", SERVICES, ids=lambda s: s.name)
async def test_a_service_may_do_its_job_and_nothing_else(secured: Secured, service: Service) -> None:
    """Every topic and every group there is, tried in both directions."""
    async with secured.asking(principal_of(service)) as ask:
        assert await found(ask) == job_of(service)


@pytest.mark.parametrize(
    ("principal", "may"),
    [
        (TOPIC_ADMIN, May(set(), set(), {}, set())),
        (OPERATOR, May(set(), ALL, {OPERATORS: ALL}, {OPERATORS, *on_trial(set(GROUPS))})),
    ],
)
async def test_who_runs_it_writes_no_record(secured: Secured, principal: str, may: May) -> None:
    async with secured.asking(principal) as ask:
        assert await found(ask) == may


async def test_a_reader_sees_its_own_copy_of_an_assessment_only(secured: Secured) -> None:
    async with secured.asking("dfg") as ask:
        read_by_dfg = await ask.may_read(sorted({*ALL, *TOPICS}))
    assert read_by_dfg == {"try.tributary.assessment.finalised.dfg.v1"}


async def its_job(secured: Secured, service: Service) -> None:
    """Through the bus that services use: idempotent sends, a group, a commit."""
    bus = secured.bus(principal_of(service))
    producer = await bus.producer("test")
    await producer.send([Outgoing(topic, b"key", b"value") for topic in service.topics_written()])
    if topics := service.handlers.topics():
        consumer = await bus.consumer(service.name, topics)
        await read(consumer, 1)
        await consumer.commit()

        async def all_committed() -> bool:
            await consumer.poll(500, 0.1)
            await consumer.commit()
            lag = await consumer.lag()
            return len(lag) == 2 * len(topics) and not any(lag.values())

        await eventually(all_committed)
    await bus.close()


async def test_every_service_works_through_its_own_bus(secured: Secured) -> None:
    for writer in SERVICES:  # something to read in every topic
        async with secured.asking(principal_of(writer)) as ask:
            await ask.may_write(sorted(on_trial(set(writer.topics_written()))))
    await asyncio.gather(*(its_job(secured, service) for service in SERVICES))


async def one_step_beyond(secured: Secured, service: Service) -> None:
    bus = secured.bus(principal_of(service), start_timeout=3, send_timeout=5)
    mine, others = set(service.topics()), set(TOPICS) - set(service.topics())
    producer = await bus.producer("test")
    for topic in [*service.handlers.topics()[:1], min(others)]:
        with pytest.raises(NotAllowed):
            await producer.send([Outgoing(topic, b"key", b"value")])
    with pytest.raises(TopicsMissing):  # for it there is no such topic
        await bus.consumer(service.name, [min(others)])
    consumer = await bus.consumer(next(name for name in GROUPS if name != service.name), [min(mine)])
    await refused(lambda: consumer.poll(500, 0.2))
    with pytest.raises(NotAllowed):
        await bus.create_topics(["one-more"])
    await bus.close()


async def refused(call: Callable[[], Awaitable[Any]]) -> None:
    """It never gives anything, and ends with NotAllowed."""

    async def was_refused() -> bool:
        try:
            assert not await call()
        except NotAllowed:
            return True
        return False

    await eventually(was_refused)


async def test_one_step_beyond_is_told_apart_from_an_outage(secured: Secured) -> None:
    await asyncio.gather(*(one_step_beyond(secured, service) for service in SERVICES))


async def comes_in(address: tuple[str, int], login: Mapping[str, Any]) -> bool:
    """Whether the broker answers a question of this user, or of nobody. No patience is involved: it says no."""
    try:
        connection = await create_conn(*address, **login)
        await connection.send(ApiVersionRequest())
    except KafkaError:
        return False
    connection.close()
    return True


async def test_nobody_else_comes_in(secured: Secured) -> None:
    host, _, port = secured.broker.bootstrap.partition(":")
    clients, good = (host, int(port)), secured.broker.security("dfg")
    assert await comes_in(clients, good)
    for wrong in (good | {"sasl_plain_password": "guess"}, good | {"sasl_plain_username": "nobody"}):
        assert not await comes_in(clients, wrong)
    for login in (good, {}):
        assert not await comes_in(secured.broker.controller, login), "the controller is the broker's alone"
    assert not await comes_in(clients, {})
    bus = KafkaBus(secured.broker.bootstrap, start_timeout=0.5)
    with pytest.raises(BusUnavailable):
        await bus.missing_topics(TOPICS)


async def test_what_is_beyond_the_table_is_taken_away(secured: Secured) -> None:
    rights = twins([*acls(), *acls(prefix=TRY)])
    table = {binding for right in rights for binding in bindings(right)}
    assert await secured.admin.rights() == table
    more = replace(rights[0], name="more")
    await secured.admin.set_rights([*rights, more])
    assert len(await secured.admin.rights()) > len(table)
    await secured.admin.set_rights(rights)
    assert await secured.admin.rights() == table


async def test_a_password_is_changed_without_a_moment_outside(secured: Secured) -> None:
    """The twin has the same rights; the first goes when nobody is it any more."""
    old, new = "ices", "ices" + TWIN
    await secured.admin.set_users({TRY + new: secured.broker.passwords.of(TRY + new)})

    async def twin_works() -> bool:
        try:
            async with secured.asking(new) as ask:
                (service,) = [s for s in SERVICES if s.name == old]
                return await found(ask) == job_of(service)
        except KafkaError:
            return False

    await eventually(twin_works)
    await secured.admin.remove_users([TRY + new])

    async def is_out() -> bool:
        return not await twin_works()

    await eventually(is_out)


async def test_the_whole_product_on_a_secured_broker(
    secured: Secured, postgres: EmbeddedPostgres, new_database: NewDatabase
) -> None:
    """Every service as its own principal: the golden cases, to the penny."""
    expected = json.loads((HERE / "expected.json").read_bytes())
    cases = [case for case in Reader("council-a").read(CASES.read_bytes().splitlines()) if isinstance(case, Case)]
    login = secured.broker.security
    async with (
        one_process(
            postgres, database=await new_database(), kafka=secured.broker.bootstrap, kafka_login=login
        ) as deployment,
        open_allocation(deployment) as allocation,
    ):
        views: dict[int, Any] = await allocation.run(cases)
    totals = {
        f"{case.assessment.assessment_id}/{case.assessment.version}": msgspec.to_builtins(views[case.number].totals)
        for case in cases
    }
    assert totals == {name: one["totals"] for name, one in expected.items()}
    assert len(totals) == 9


async def test_a_service_comes_in_by_its_container_s_settings(
    secured: Secured, postgres: EmbeddedPostgres, new_database: NewDatabase, tmp_path: Path
) -> None:
    """A process of its own, ready: topics seen, partitions given in its group."""
    login = {
        "TRIBUTARY_KAFKA_SECURITY": "SASL_PLAINTEXT",
        "TRIBUTARY_KAFKA_USER": TRY + "ices",
        "TRIBUTARY_KAFKA_PASSWORD_FILE": str(secured.broker.passwords.folder / (TRY + "ices")),
    }
    module, log = "services.funding_streams.ices", tmp_path / "ices.log"
    child = await Child.start(
        module, postgres, await new_database(), log, kafka=secured.broker, prefix=TRY, login=login
    )
    child.kill()
    assert secured.broker.passwords.of(TRY + "ices") not in log.read_text()
