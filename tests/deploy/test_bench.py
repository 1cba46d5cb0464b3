"""The benchmark's gate and its people; a short run of it on the embedded bus. No test here is timed."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from contracts.budget import BudgetProposed
from deploy.bench import measures, stored
from deploy.bench.house import opened
from deploy.bench.mix import Person, people, templates
from deploy.bench.pipeline import Driver, Heard, WrongBudgets, driving
from deploy.services import all_services
from services.assessment.domain.assessment import assessment_ref

EXPECTED = json.loads((Path(__file__).parents[1] / "golden" / "expected.json").read_text())


def budget(person: Person, **changed: Any) -> BudgetProposed:
    """A complete budget with the totals this person must come to, or with others."""
    totals = {
        **dict.fromkeys(
            ("weekly_pence", "one_off_pence", "yearly_pence", "spendable_weekly_pence", "spendable_one_off_pence",
             "provisional_weekly_pence", "provisional_one_off_pence", "outside_weekly_pence", "outside_one_off_pence",
             "net_weekly_pence"), 0),
        **person.expects,
        **changed,
    }  # fmt: skip
    ref = assessment_ref(person.assessment)
    body = {
        "person_ref": ref, "budget_id": ref, "assessment_ref": ref, "revision": 1, "state": "PROPOSED",
        "complete": True, "council": "council-a", "rule_pack": "pilot-2007", "effective_date": "2007-06-04",
        "lines": [], "totals": totals, "decisions": {}, "warnings": [],
    }  # fmt: skip
    return msgspec.convert(body, BudgetProposed, strict=False)


ONE, OTHER = people("test", 0, 2)


@pytest.mark.parametrize(
    ("heard", "wrong"),
    [
        ([budget(ONE), budget(OTHER)], 0),
        ([budget(ONE)], 1),
        ([budget(ONE), budget(OTHER), budget(OTHER)], 1),
        ([budget(ONE), budget(OTHER, weekly_pence=1)], 1),
        ([budget(ONE, one_off_pence=7), budget(OTHER, contribution_weekly_pence=None)], 2),
    ],
    ids=["all right", "one without", "one with two", "a wrong total", "two wrong totals"],
)
def test_a_run_counts_only_when_everybody_has_one_right_budget(heard: list[BudgetProposed], wrong: int) -> None:
    found = Heard()
    for one in heard:
        found.hear(one)
    wanted: dict[UUID, Person] = {assessment_ref(p.assessment): p for p in (ONE, OTHER)}
    driver = Driver(None, found)  # type: ignore[arg-type]
    if not wrong:
        driver.check(wanted)
        return
    with pytest.raises(WrongBudgets, match=f"^{wrong} of 2 people"):
        driver.check(wanted)


@pytest.mark.parametrize("template", templates(), ids=lambda t: t.golden)
def test_the_totals_of_the_mix_are_the_golden_ones(template: Any) -> None:
    totals = EXPECTED[template.golden]["totals"]
    assert template.expects == {name: totals[name] for name in template.expects}
    assert set(template.expects) == {"weekly_pence", "one_off_pence", "contribution_weekly_pence"}


def test_the_share_of_a_percentile() -> None:
    assert measures.percentile([float(n) for n in range(1, 101)], 0.99) == 100.0
    assert measures.percentile([3.0, 1.0, 2.0], 0.5) == 2.0


async def test_a_short_run_and_more_people_stored() -> None:
    async with opened("embedded") as house, driving(house) as driver:
        assert await driver.throughput("test", 12, lambda _: None) > 0
        there = await stored.fill(house.superuser_url, all_services(), 36, lambda _: None)
        assert there == 36
        latency = await driver.latency("steady", 6, 50, lambda _: None)
        assert 0 < latency.p50_ms <= latency.p99_ms <= latency.most_ms
        assert await driver.throughput("more", 12, lambda _: None) > 0
        there = await stored.fill(house.superuser_url, all_services(), 162, lambda _: None)
        assert there == 162, "copies of copies are people of their own"
        connection = await asyncpg.connect(house.superuser_url)
        counts = {
            table: await connection.fetchval(f"SELECT count(*) FROM {table}")
            for table in ("ras.budget_case", "stream_chc.stream_case", "stream_chc.inbox", "stream_chc.outbox")
        }
        await connection.close()
        assert set(counts.values()) == {162}
