"""Another council's assessment, decision or budget is not there: the same answer, to the byte, as for one that never
was."""

import uuid
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from contracts.scopes import SCOPES
from deploy.postgres import EmbeddedPostgres
from tests.conftest import NewDatabase
from tests.journeys.house import House, Json, eventually, open_house

CONSENT, NOTICE = {"status": "given"}, {"stream": "ilf", "decision": "confirmed", "reference": "N1"}


@pytest_asyncio.fixture(scope="module")
async def house(postgres: EmbeddedPostgres, new_database: NewDatabase) -> AsyncIterator[House]:
    async with open_house(postgres, await new_database(), None) as opened:
        yield opened


def of(house: House, *councils: str) -> dict[str, str]:
    """Everything a council's own people may do."""
    scopes = [scope for scope in SCOPES if not scope.startswith("operations.")]
    return house.deployment.issuer.headers(*scopes, councils=councils)


@pytest_asyncio.fixture(scope="module")
async def case(house: House) -> dict[str, str]:
    """A council-a case with an accepted budget that payments holds, and a draft beside it: address parts by name."""
    form = house.somebody("G04")
    assert form["council"] == "council-a"
    ref = await house.finalised(form)
    budget = await house.complete(ref)
    accepted = await house.http.post(f"/budgets/{budget['budget_id']}/accept", json={"revision": budget["revision"]})
    assert accepted.status_code == 202
    url = f"/payments/budgets/{budget['budget_id']}"

    async def paid() -> bool:
        return (await house.http.get(url)).status_code == 200

    assert await eventually(paid)
    draft = await house.create(house.somebody("G04"))
    return {"ref": ref, "draft": draft, "budget": budget["budget_id"], "revision": str(budget["revision"])}


ASKED: tuple[tuple[str, str, Json | None], ...] = (
    ("GET", "/assessments/{ref}", None),
    ("GET", "/assessments/{ref}/roll-call", None),
    ("POST", "/assessments/{draft}/finalise", None),
    ("PUT", "/assessments/{draft}/consents/ilf", CONSENT),
    ("GET", "/assessments/{ref}/budget", None),
    ("GET", "/budgets/{budget}", None),
    ("POST", "/budgets/{budget}/accept", {"revision": 1}),
    ("GET", "/payments/budgets/{budget}", None),
    ("GET", "/streams/ilf/assessments/{ref}", None),
    ("GET", "/streams/social_care/assessments/{ref}", None),
    ("POST", "/streams/ilf/assessments/{ref}/notices", NOTICE),
)


async def asked(house: House, method: str, path: str, body: Json | None, headers: dict[str, str]) -> httpx.Response:
    correlation = {"x-correlation-id": str(uuid.UUID(int=1))}
    return await house.http.request(method, path, json=body, headers=headers | correlation)


@pytest.mark.parametrize(("method", "path", "body"), ASKED)
async def test_it_answers_as_one_that_never_was(
    house: House, case: dict[str, str], method: str, path: str, body: Json | None
) -> None:
    nobody = {name: str(uuid.uuid4()) for name in case}
    for councils in (["council-b"], ["council-b", "council-c"], []):
        theirs = await asked(house, method, path.format(**case), body, of(house, *councils))
        absent = await asked(house, method, path.format(**nobody), body, of(house, *councils))
        assert (theirs.status_code, theirs.content) == (absent.status_code, absent.content)
        assert theirs.json()["code"] == ("stream_not_asked" if path.endswith("notices") else "not_found")
        assert theirs.headers == absent.headers


@pytest.mark.parametrize(("method", "path", "body"), [one for one in ASKED if one[0] == "GET"])
async def test_its_own_council_sees_it(
    house: House, case: dict[str, str], method: str, path: str, body: Json | None
) -> None:
    answer = await asked(house, method, path.format(**case), body, of(house, "council-b", "council-a"))
    assert answer.status_code == 200


async def test_nobody_writes_for_another_council(house: House, case: dict[str, str]) -> None:
    form = house.somebody("G04")
    theirs = await asked(house, "POST", "/assessments", form, of(house, "council-b"))
    unknown = await asked(house, "POST", "/assessments", form | {"council": "council-z"}, of(house, "council-b"))
    assert (theirs.status_code, theirs.content) == (unknown.status_code, unknown.content)
    edit = await asked(house, "PUT", f"/assessments/{case['draft']}", form, of(house, "council-b"))
    assert (edit.status_code, edit.json()["code"]) == (404, "not_found")
    assert (await asked(house, "POST", "/assessments", form, of(house, "council-a"))).status_code == 201
