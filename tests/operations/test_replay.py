"""Old events through today's code: to the same state, to the same decisions, or it says where not."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from chassis import replay
from chassis.bus_embedded import EmbeddedBus
from chassis.replay import Replay
from chassis.state_hash import state_hash
from contracts.budget import BudgetProposed
from deploy.one_process import one_process
from deploy.postgres import EmbeddedPostgres
from deploy.prepare import engine_for
from deploy.services import all_services
from services.ras.domain.budget import BudgetCase
from tests.conftest import NewDatabase, ask_server
from tests.journeys.house import House, eventually, status_of

SCHEMAS = [s.schema for s in all_services()]
READERS = [s for s in all_services() if s.handlers.subscriptions]


@pytest_asyncio.fixture(scope="module")
async def lived(postgres: EmbeddedPostgres, new_database: NewDatabase) -> AsyncIterator[str]:
    """A database in which things happened: G01 accepted; G04 with the fund's notice, taken over by the NHS, its ILF
    line revised and confirmed once more; G03 parked at ras on the way and released. The clock is the real one."""
    name = await new_database()
    async with one_process(postgres, database=name, pepper=b"pepper") as deployment, deployment.client() as http:
        await live(House(postgres, name, Any, deployment, http))  # type: ignore[arg-type]
    yield name


async def live(house: House) -> None:
    ref = await house.finalised(house.somebody("G01"))
    budget = await house.complete(ref)
    url = f"/budgets/{budget['budget_id']}/accept"
    assert (await house.http.post(url, json={"revision": budget["revision"]})).status_code == 202

    ref = await house.finalised(house.somebody("G04"))
    await house.complete(ref)
    await house.notice(ref, "ilf", weekly_pence=32225)
    await house.budget_when(ref, lambda b: status_of(b, "ilf") == "AWARDED")
    await house.notice(ref, "chc", weekly_pence=90000, package="chc", effective_from="2007-11-01")
    await house.budget_when(ref, lambda b: bool(b["complete"] and status_of(b, "social_care") == "ENDED"))
    await house.notice(ref, "ilf", reference="N2", weekly_pence=10000)
    await house.budget_when(ref, lambda b: status_of(b, "ilf") == "AWARDED")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BudgetCase, "answer", None)
        ref = await house.finalised(house.somebody("G03"))
        (form,) = await house.ask(f"SELECT person_ref FROM assessment.assessment WHERE assessment_ref = '{ref}'")

        async def all_parked() -> bool:
            return sum(schema == "ras" for schema, _ in await house.parked()) >= 6

        assert await eventually(all_parked)
    released = await house.http.post("/operations/ras/parked/release", json={"everybody": True, "dry_run": False})
    assert released.json()["done"][0]["released"] >= 6
    assert form is not None
    await house.complete(ref)

    async def recorded() -> bool:
        return bool(await house.ask("SELECT 1 FROM payments.accepted_budget"))

    assert await eventually(recorded)


def owner_url(postgres: EmbeddedPostgres, database: str) -> str:
    return postgres.url(postgres.superuser, postgres.password, database)


@pytest.mark.parametrize("service", READERS, ids=lambda s: str(s.name))
async def test_a_rebuild_leads_to_the_same_state(postgres: EmbeddedPostgres, lived: str, service: Any) -> None:
    found = await Replay(service, owner_url(postgres, lived), SCHEMAS, "tester", "drill").rebuild()
    assert found.differs is None
    assert found.identical
    assert found.events > 0
    assert len(found.tables) >= 1
    schemas = await ask_server(postgres, "SELECT 1 FROM pg_namespace WHERE nspname LIKE 'replay%'", lived)
    assert schemas == []
    bodies = await ask_server(postgres, f"SELECT body FROM {service.schema}.audit", lived)
    last = [e for e in (msgspec.json.decode(r["body"]) for r in bodies) if e["action"] == "replay.rebuild"][-1]
    assert (last["actor"], last["reason"], last["detail"]["identical"]) == ("tester", "drill", True)


async def test_a_rebuild_from_the_log(postgres: EmbeddedPostgres, lived: str) -> None:
    engine = engine_for(owner_url(postgres, lived))
    bus = EmbeddedBus(engine)
    found = await Replay(RAS, owner_url(postgres, lived), [], "tester", bus=bus).rebuild()
    await bus.close()
    await engine.dispose()
    assert found.identical, found.differs
    assert found.events > 20


RAS = next(s for s in READERS if s.name == "ras")


async def test_a_rebuild_of_what_an_older_release_kept_is_the_same(postgres: EmbeddedPostgres, lived: str) -> None:
    """Migration 0004 filled the new column with whole decisions; today's code keeps them without their reasons."""
    changed = await ask_server(postgres, "UPDATE ras.stream_answer SET answer = payload RETURNING 1", lived)
    assert changed
    found = await Replay(RAS, owner_url(postgres, lived), SCHEMAS, "tester").rebuild()
    assert found.identical, found.differs
    await ask_server(postgres, "UPDATE ras.stream_answer SET payload = payload || ' '", lived)
    found = await Replay(RAS, owner_url(postgres, lived), SCHEMAS, "tester").rebuild()
    assert found.differs is not None
    assert found.differs.table == "stream_answer", "the decision itself counts"
    await ask_server(postgres, "UPDATE ras.stream_answer SET payload = answer", lived)


async def test_a_rebuild_names_the_row_that_differs(postgres: EmbeddedPostgres, lived: str) -> None:
    url = owner_url(postgres, lived)
    (row,) = await ask_server(postgres, "SELECT assessment_ref AS ref FROM ras.budget_case ORDER BY 1 LIMIT 1", lived)
    await ask_server(postgres, f"UPDATE ras.budget_case SET revision = 77 WHERE assessment_ref = '{row['ref']}'", lived)
    before = await hashes(url)
    found = await Replay(RAS, url, SCHEMAS, "tester").rebuild()
    assert found.differs is not None
    assert (found.identical, found.differs.table) == (False, "budget_case")
    assert str(row["ref"]) in found.differs.key
    assert await hashes(url) == before == found.tables, "it only looks"


async def hashes(url: str) -> dict[str, str]:
    engine = engine_for(url)
    async with engine.connect() as connection:
        found = await state_hash(connection, "ras", RAS.derived)
    await engine.dispose()
    return found


async def test_a_shadow_of_unchanged_code_sees_no_change(postgres: EmbeddedPostgres, lived: str) -> None:
    found = await Replay(RAS, owner_url(postgres, lived), SCHEMAS, "tester").shadow()
    assert (found.changed, found.new, found.gone) == (0, 0, 0)
    assert found.same > 8


async def test_a_shadow_finds_a_changed_rule(
    postgres: EmbeddedPostgres, lived: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody's budget carries a warning now. What was told then is not touched."""
    then = BudgetCase._warnings
    monkeypatch.setattr(BudgetCase, "_warnings", lambda self, c: (*then(self, c), "rule:changed"))
    url = owner_url(postgres, lived)
    before = await hashes(url), await ask_server(postgres, "SELECT count(*) FROM ras.outbox", lived)
    found = await Replay(RAS, url, SCHEMAS, "tester").shadow()
    assert found.changed > 3
    assert set(found.fields) == {"warnings"}
    assert {change.type for change in found.first} == {BudgetProposed.type}
    assert before == (await hashes(url), await ask_server(postgres, "SELECT count(*) FROM ras.outbox", lived))
    ignored = await Replay(RAS, url, SCHEMAS, "tester").shadow(frozenset({"warnings"}))
    assert ignored.changed == 0


async def test_code_that_fails_now_is_named(
    postgres: EmbeddedPostgres, lived: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BudgetCase, "answer", None)
    with pytest.raises(replay.CannotReplay, match=r"event .* fails now: TypeError"):
        await Replay(RAS, owner_url(postgres, lived), SCHEMAS, "tester").rebuild()
