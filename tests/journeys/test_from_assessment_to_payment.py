"""From the first answer to the accepted budget, over HTTP and both buses. Amounts by hand (rule book §24)."""

import asyncio
import time
from uuid import UUID, uuid4

from prometheus_client import REGISTRY

from chassis.bus import Record
from contracts import event
from contracts.assessment import AssessmentFinalised
from contracts.budget import BudgetAccepted, BudgetProposed, FactsSupplied, StreamLate
from contracts.payments import AcceptedBudgetRecorded
from contracts.streams import StreamDecided
from tests.journeys.house import House, Json, eventually, lines_of, status_of


async def held_by_payments(house: House, budget_id: str, revision: int) -> Json:
    async def look() -> Json | None:
        answer = await house.http.get(f"/payments/budgets/{budget_id}")
        return dict(answer.json()) if answer.status_code == 200 and answer.json()["revision"] == revision else None

    found = await eventually(look)
    assert found is not None
    return dict(found)


async def test_the_whole_way(house: House) -> None:
    """G04: drafted, edited, agreed to, final, screened, decided by two other bodies, accepted, held by payments."""
    form = house.somebody("G04")
    ref = await house.create(form | {"capital": {"person_pence": 100}})
    edited = await house.http.put(f"/assessments/{ref}", json=form, headers={"if-match": '"1"'})
    assert (edited.status_code, edited.headers["etag"]) == (200, '"2"')
    stale = await house.http.put(f"/assessments/{ref}", json=form, headers={"if-match": '"1"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "edit_conflict")
    for stream in ("ilf", "access_to_work", "dfg"):
        agreed = await house.http.put(f"/assessments/{ref}/consents/{stream}", json={"status": "given"})
        assert agreed.status_code == 200
    final = await house.http.post(f"/assessments/{ref}/finalise")
    assert final.status_code == 202
    assert {a["stream"] for a in final.json()["asked"]} == {
        "social_care", "supporting_people", "ilf", "access_to_work", "ices", "dfg", "chc"
    }  # fmt: skip

    budget = await house.complete(ref)
    totals = budget["totals"]
    assert (budget["state"], totals["weekly_pence"], totals["one_off_pence"]) == ("PROPOSED", 71775, 248000)
    assert (totals["spendable_weekly_pence"], totals["spendable_one_off_pence"]) == (33550, 0)

    told = await house.notice(ref, "ilf", weekly_pence=32225)
    assert (told.status_code, told.json()["revision"]) == (202, 2)
    told = await house.notice(ref, "access_to_work", weekly_pence=6000, one_off_pence=248000)
    assert told.status_code == 202
    budget = await house.budget_when(ref, lambda b: bool(b["totals"]["spendable_weekly_pence"] == 71775))
    assert budget["totals"]["spendable_one_off_pence"] == 248000
    assert budget["totals"]["provisional_weekly_pence"] == 0

    url = f"/budgets/{budget['budget_id']}/accept"
    unseen = await house.http.post(url, json={"revision": 1})
    assert (unseen.status_code, unseen.json()["code"]) == (409, "budget_conflict")
    for _ in range(2):
        accepted = await house.http.post(url, json={"revision": budget["revision"]})
        assert accepted.status_code == 202
    held = await held_by_payments(house, budget["budget_id"], budget["revision"])
    assert held["totals"]["spendable_weekly_pence"] == 71775
    assert held["totals"]["contribution_weekly_pence"] == 0
    assert held["lines"] == budget["lines"]
    assert len(await house.told(BudgetAccepted, ref)) == 1
    recorded = await of_budget(house, budget["budget_id"])
    assert [e.revision for e in recorded] == [budget["revision"]]
    proposed = await house.told(BudgetProposed, ref)
    assert [b.revision for b in proposed] == list(range(1, budget["revision"] + 1))
    assert await house.parked() == []


async def of_budget(house: House, budget_id: str) -> list[AcceptedBudgetRecorded]:
    sql = f"SELECT payload FROM payments.outbox WHERE type = '{AcceptedBudgetRecorded.type}'"
    found = [AcceptedBudgetRecorded.decode(bytes(row["payload"])) for row in await house.ask(sql)]
    return [e for e in found if str(e.budget_id) == budget_id]


async def test_a_budgets_age_is_measured_and_an_open_one_is_seen(house: House) -> None:
    """A stream that is down holds a budget open: its age grows until the stream is back."""

    def reading(name: str) -> float:
        return REGISTRY.get_sample_value(f"tributary_{name}", {"service": "ras"}) or 0

    before = reading("pm_age_seconds_count")
    await house.stop("ices")
    ref = await house.finalised(house.somebody("G01"))
    sampler = house.deployment.running["ras"].sampler

    async def open_is_seen() -> bool:
        await sampler.look()
        return reading("pm_oldest_open_seconds") > 0

    assert await eventually(open_is_seen)
    assert reading("pm_age_seconds_count") == before
    house.start("ices")
    await house.complete(ref)
    await sampler.look()
    assert reading("pm_age_seconds_count") == before + 1
    assert reading("pm_oldest_open_seconds") == 0


async def test_the_same_case_twice_changes_nothing(house: House) -> None:
    form = house.somebody("G01")
    ref = await house.finalised(form)
    first = await house.complete(ref)
    again = await house.http.post("/assessments", json=dict(reversed(form.items())))
    assert (again.status_code, again.json()["assessment_ref"], again.json()["state"]) == (200, ref, "final")
    assert (await house.http.post(f"/assessments/{ref}/finalise")).status_code == 202
    marker = await house.finalised(house.somebody("G01"))
    await house.complete(marker)
    assert await house.complete(ref) == first
    assert (first["totals"]["weekly_pence"], first["totals"]["one_off_pence"]) == (18675, 26800)
    assert len(await house.told(AssessmentFinalised, ref)) == 8
    assert len(await house.told(StreamDecided, ref)) == 7
    assert [b.revision for b in await house.told(BudgetProposed, ref)] == [1]


async def test_the_same_id_with_other_content_is_a_conflict(house: House) -> None:
    form = house.somebody("G01")
    ref = await house.finalised(form)
    changed = form | {"capital": {"person_pence": 1}}
    conflict = await house.http.post("/assessments", json=changed)
    assert (conflict.status_code, conflict.json()["code"]) == (409, "assessment_conflict")
    edit = await house.http.put(f"/assessments/{ref}", json=changed)
    assert (edit.status_code, edit.json()["code"]) == (409, "assessment_final")
    consent = await house.http.put(f"/assessments/{ref}/consents/dfg", json={"status": "refused"})
    assert (consent.status_code, consent.json()["code"]) == (409, "assessment_final")
    assert (await house.complete(ref))["totals"]["weekly_pence"] == 18675


async def test_a_stream_without_consent_is_not_asked_and_its_notice_is_refused(house: House) -> None:
    ref = await house.create(house.somebody("G04"))
    assert (await house.http.put(f"/assessments/{ref}/consents/ilf", json={"status": "refused"})).status_code == 200
    final = (await house.http.post(f"/assessments/{ref}/finalise")).json()
    assert "ilf" not in {a["stream"] for a in final["asked"]}
    assert [(n["stream"], n["reason"]) for n in final["not_asked"]] == [("ilf", "consent_refused")]
    budget = await house.complete(ref)
    assert budget["totals"]["weekly_pence"] == 33550 + 6000  # G04 without the ILF's 322.25
    assert [n["stream"] for n in budget["not_asked"]] == ["ilf"]
    assert not lines_of(budget, "ilf")
    refused = await house.notice(ref, "ilf", weekly_pence=32225)
    assert (refused.status_code, refused.json()["code"]) == (409, "stream_not_asked")
    elsewhere = await house.http.post(
        f"/streams/ilf/assessments/{ref}/notices",
        json={"stream": "dfg", "decision": "confirmed", "reference": "N1"},
    )
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (422, "invalid_field")
    assert (await house.budget(ref)) == budget


async def test_the_same_notice_twice_is_one_and_another_under_its_reference_a_conflict(house: House) -> None:
    ref = await house.finalised(house.somebody("G06"))
    await house.complete(ref)
    for _ in range(2):
        told = await house.notice(ref, "access_to_work", weekly_pence=24400, one_off_pence=496000)
        assert (told.status_code, told.json()["revision"]) == (202, 2)
    conflict = await house.notice(ref, "access_to_work", weekly_pence=99900, one_off_pence=496000)
    assert (conflict.status_code, conflict.json()["code"]) == (409, "notice_conflict")
    budget = await house.complete(ref, 2)
    assert budget["totals"]["spendable_weekly_pence"] == 83800
    decided = [d.revision for d in await house.told(StreamDecided, ref) if d.stream == "access_to_work"]
    assert decided == [1, 2]


async def test_the_ilf_waits_for_the_councils_amount_and_decides_again_when_it_changes(house: House) -> None:
    """G04. The gateway is down: the ILF cannot answer. Then it can; then the NHS takes over and it must again."""
    await house.stop("social_care")
    ref = await house.finalised(house.somebody("G04"))
    budget = await house.budget_when(ref, lambda b: set(b["waiting"]) == {"social_care", "ilf"})
    assert (budget["state"], budget["complete"], status_of(budget, "ilf")) == ("WAITING", False, "WAITING")
    assert budget["totals"]["spendable_weekly_pence"] == 0
    refused = await house.http.post(f"/budgets/{budget['budget_id']}/accept", json={"revision": 1})
    assert (refused.status_code, refused.json()["code"]) == (409, "budget_not_proposed")
    assert (await house.http.get(f"/streams/ilf/assessments/{ref}")).status_code == 404
    assert await house.told(FactsSupplied, ref) == []

    house.start("social_care")
    budget = await house.complete(ref)
    assert [line["weekly_pence"] for line in lines_of(budget, "ilf")] == [32225]
    (supplied,) = await house.told(FactsSupplied, ref)
    assert (supplied.audience, supplied.revision) == ("ilf", 1)
    assert supplied.facts == {"council_weekly_pence": 33550, "contribution_weekly_pence": 0}

    told = await house.notice(ref, "chc", weekly_pence=90000, package="chc", effective_from="2007-11-01")
    assert told.status_code == 202
    budget = await house.complete(ref, 2)
    decided = {d.revision: d for d in await house.told(StreamDecided, ref) if d.stream == "ilf"}
    assert {n: (d.outcome, d.facts_revision) for n, d in decided.items()} == {1: ("PROVISIONAL", 1), 2: ("REFUSED", 2)}
    assert [(f.revision, f.facts["council_weekly_pence"]) for f in await house.told(FactsSupplied, ref)] == [
        (1, 33550),
        (2, 0),
    ]
    assert status_of(budget, "social_care") == "ENDED"
    assert status_of(budget, "ilf") == "REFUSED"
    assert [b.revision for b in await house.told(BudgetProposed, ref)] == [1, 2], "no budget on the ILF's old answer"


async def test_the_next_version_supersedes_the_budget_of_the_last(house: House) -> None:
    form = house.somebody("G05")
    earlier = await house.finalised(form)
    old = await house.complete(earlier)
    assert old["totals"]["weekly_pence"] == 26400
    later = await house.finalised(form | {"version": 2, "domain_levels": house.somebody("G05.2")["domain_levels"]})
    new = await house.complete(later)
    assert (new["state"], new["totals"]["weekly_pence"]) == ("PROPOSED", 29700)
    assert (await house.budget_when(earlier, lambda b: b["state"] == "SUPERSEDED"))["revision"] == old["revision"]
    refused = await house.http.post(f"/budgets/{old['budget_id']}/accept", json={"revision": old["revision"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "budget_not_proposed")
    accepted = await house.http.post(f"/budgets/{new['budget_id']}/accept", json={"revision": new["revision"]})
    assert accepted.status_code == 202


async def test_a_stream_that_is_down_is_waited_for_then_late_and_its_answer_still_counts(house: House) -> None:
    """G01 without its equipment service: 28 days, then the budget goes on without; then it comes back."""
    await house.stop("ices")
    ref = await house.finalised(house.somebody("G01"))
    budget = await house.budget_when(ref, lambda b: b["waiting"] == ["ices"])
    assert (budget["state"], status_of(budget, "ices"), status_of(budget, "social_care")) == (
        "WAITING",
        "WAITING",
        "AWARDED",
    )
    house.clock.pass_days(27.9)
    await house.look_at_deadlines()
    assert await house.told(StreamLate, ref) == []
    house.clock.pass_days(0.2)
    budget = await house.complete(ref)
    assert (budget["state"], status_of(budget, "ices")) == ("PROPOSED", "LATE")
    assert (budget["totals"]["weekly_pence"], budget["totals"]["one_off_pence"]) == (18675, 0)
    (late,) = await house.told(StreamLate, ref)
    assert (late.stream, late.clock_days, late.waiting_for) == ("ices", 28, "answer")

    house.start("ices")
    budget = await house.complete(ref, 2)
    assert (budget["revision"], budget["totals"]["one_off_pence"]) == (2, 26800)
    assert status_of(budget, "ices") == "AWARDED"
    house.clock.pass_days(400)
    await house.look_at_deadlines()
    assert await house.told(StreamLate, ref) == [late], "late once, and never again"
    assert await house.parked() == []


async def records_about(house: House, ref: str, *topics: str) -> list[Record]:
    """What the log itself holds about one assessment's budget, headers and all, once a budget is there."""
    reader = await house.deployment.bus.consumer(f"test-{uuid4().hex}", topics)
    found: list[Record] = []
    limit = time.monotonic() + 60
    while not any(r.topic == BudgetProposed.topic() for r in found):
        assert time.monotonic() < limit
        found += [r for r in await reader.poll(500, 0.5) if ref.encode() in r.value]
        await asyncio.sleep(0)
    await reader.close()
    return found


async def test_one_trace_leads_from_the_request_to_the_budget(house: House) -> None:
    """The caller's trace id on every record; each record a span of its own, whose parent its cause names."""
    trace_id = uuid4().hex
    ref = await house.create(house.somebody("G01"))
    sent = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    assert (await house.http.post(f"/assessments/{ref}/finalise", headers=sent)).status_code == 202
    await house.complete(ref)
    topics = [AssessmentFinalised.topic("ras"), StreamDecided.topic(), BudgetProposed.topic()]
    envelopes = [event.Envelope.parse(dict(r.headers)) for r in await records_about(house, ref, *topics)]
    assert {e.type for e in envelopes} >= {BudgetProposed.type, StreamDecided.type}
    for e in envelopes:
        assert e.traceparent == f"00-{trace_id}-{e.id.hex[16:]}-01"
    causes = {e.id: e.causation_id for e in envelopes}
    (budget,) = [e for e in envelopes if e.type == BudgetProposed.type]
    assert isinstance(causes[budget.id], UUID)
    assert budget.causation_id in causes, "the answer that completed it"


async def test_without_one_the_correlation_id_of_the_request_names_the_trace(house: House) -> None:
    correlation = uuid4()
    ref = await house.create(house.somebody("G01"))
    sent = {"x-correlation-id": str(correlation), "traceparent": "00-malformed"}
    assert (await house.http.post(f"/assessments/{ref}/finalise", headers=sent)).status_code == 202
    await house.complete(ref)
    about = f"position('{ref}' IN encode(payload, 'escape')) > 0"
    for schema in ("assessment", "stream_social_care", "ras"):
        (row,) = await house.ask(f"SELECT DISTINCT left(traceparent, 35) AS trace FROM {schema}.outbox WHERE {about}")
        assert row["trace"] == f"00-{correlation.hex}"
