"""Names, numbers, addresses and free text stay in the assessment service: not in an event, a log line or a refusal."""

import json

import pytest
from structlog.testing import capture_logs

from tests.assessment.forms import NHS, TEXT, filled_in, secrets_in
from tests.conftest import everything_stored
from tests.journeys.house import House


async def everything_told(house: House) -> list[bytes]:
    """Every outbox row there is, as text; on the embedded bus also every record of the log."""
    told = []
    for schema in await house.schemas():
        rows = await house.ask(f"SELECT payload, to_jsonb(o) - 'payload' AS rest FROM {schema}.outbox o")
        told += [bytes(row["payload"]) + str(row["rest"]).encode() for row in rows]
    rows = await house.ask("SELECT key, value, headers::text AS headers FROM bus.log")
    return told + [bytes(row["key"]) + bytes(row["value"]) + row["headers"].encode() for row in rows]


ACTIONS = ("assessment_finalised", "assessment_seen", "consent_recorded", "notice_taken", "budget_accepted")
OWN = {"assessment.assessment"}
"""The one table that may know who a person is."""
NOTICES = {"stream_ilf.notice", "stream_ilf.stream_case"}
"""The body's own words about its decision, as it sent them to the stream that asked."""


async def test_from_draft_to_accepted_budget(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    with capture_logs() as logs:
        answer = await house.http.post("/assessments", json=filled_in(assessment_id="CANARY-1"))
        ref = answer.json()["assessment_ref"]
        await house.http.put(f"/assessments/{ref}/consents/ilf", json={"status": "not_required", "basis": TEXT})
        summaries = answer.text + (await house.http.post(f"/assessments/{ref}/finalise")).text
        await house.complete(ref)
        told = await house.notice(ref, "ilf", weekly_pence=32225, reason=TEXT)
        assert told.status_code == 202
        budget = await house.complete(ref, 2)
        url = f"/budgets/{budget['budget_id']}/accept"
        assert (await house.http.post(url, json={"revision": budget["revision"]})).status_code == 202
    events = await everything_told(house)
    assert len(events) >= 19, "eight copies, eight decisions, supplied facts, two budgets and an acceptance"
    assert [secrets_in(event) for event in events if secrets_in(event)] == []
    assert secrets_in(str(logs)) == []
    assert secrets_in("".join(capfd.readouterr())) == []
    assert secrets_in(json.dumps(budget) + summaries + told.text) == []
    stored = (await house.http.get(f"/assessments/{ref}")).text
    assert len(secrets_in(stored)) == 8, "and there they are, where they belong"
    tables = await everything_stored(house.postgres, house.database)
    assert len(tables) > 100
    known = {name for name, text in tables.items() if secrets_in(text)}
    assert known == OWN | NOTICES
    assert {secret for name in NOTICES for secret in secrets_in(tables[name])} == {TEXT}
    assert secrets_in(house.postgres.folder.log.read_text(errors="replace")) == []
    audited = tables["assessment.audit"] + tables["ras.audit"] + tables["stream_ilf.audit"]
    assert all(f'"{action}"' in audited for action in ACTIONS)
    assert await house.parked() == []


@pytest.mark.parametrize(
    ("where", "wrong"),
    [
        ("nhs_number", NHS[:-1] + "0"),
        ("nhs_number", TEXT),
        ("date_of_birth", TEXT),
        ("primary_user_group", TEXT),
        ("address", [TEXT]),
        ("household", TEXT),
        ("tenure", NHS),
    ],
)
async def test_a_refusal_repeats_nothing(house: House, where: str, wrong: object) -> None:
    form = filled_in(assessment_id="CANARY-2")
    form["person"][where] = wrong
    with capture_logs() as logs:
        answer = await house.http.post("/assessments", json=form)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["errors"][0]["pointer"].startswith(f"/person/{where}")
    assert secrets_in(answer.text + str(answer.headers) + str(logs)) == []


async def test_a_conflict_and_a_bad_notice_repeat_nothing(house: House) -> None:
    made = await house.http.post("/assessments", json=filled_in(assessment_id="CANARY-3"))
    ref = made.json()["assessment_ref"]
    answers = [
        await house.http.post("/assessments", json=filled_in(assessment_id="CANARY-3", disclosure_refused=True)),
        await house.http.put(f"/assessments/{ref}", json=filled_in(assessment_id="CANARY-4")),
        await house.http.put(f"/assessments/{ref}/consents/{TEXT.replace(' ', '-')}", json={"status": "given"}),
        await house.notice(ref, "ilf", weekly_pence=TEXT),
        await house.notice(ref, "ilf", reference=TEXT),
        await house.notice(ref, "ilf", reason=[TEXT]),
        await house.http.post("/assessments", content=json.dumps(filled_in()).encode() + b"}"),
        await house.http.post("/assessments", json=filled_in(stream_only={"ilf": {"care_hours_weekly": TEXT}})),
    ]
    assert all(400 <= answer.status_code < 500 for answer in answers), [a.status_code for a in answers]
    assert [secrets_in(answer.text) for answer in answers if secrets_in(answer.text)] == []
