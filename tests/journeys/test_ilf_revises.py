"""The ILF's line rests on the council's amount: when that changes, an award given on the old amount is not kept."""

from contracts.budget import BudgetProposed, FactsSupplied
from contracts.streams import StreamDecided
from tests.journeys.house import House, Json, eventually, status_of

OVERTAKEN = "notice_overtaken_by_new_amount"


async def awarded_then_taken_over_by_the_nhs(house: House) -> tuple[str, Json]:
    """G04 with the fund's own award of 322.25 on the council's 335.50; then the NHS pays for all care."""
    ref = await house.finalised(house.somebody("G04"))
    await house.complete(ref)
    assert (await house.notice(ref, "ilf", weekly_pence=32225)).json()["revision"] == 2
    awarded = await house.budget_when(ref, lambda b: status_of(b, "ilf") == "AWARDED")
    assert (awarded["totals"]["weekly_pence"], awarded["totals"]["spendable_weekly_pence"]) == (71775, 65775)
    told = await house.notice(ref, "chc", weekly_pence=90000, package="chc", effective_from="2007-11-01")
    assert told.status_code == 202
    return ref, awarded


async def ilf_decisions(house: House, ref: str) -> list[StreamDecided]:
    return [d for d in await house.told(StreamDecided, ref) if d.stream == "ilf"]


async def test_an_award_on_an_amount_that_is_gone_is_not_kept_until_the_fund_says_so_again(house: House) -> None:
    ref, awarded = await awarded_then_taken_over_by_the_nhs(house)
    budget = await house.budget_when(ref, lambda b: bool(b["complete"] and status_of(b, "social_care") == "ENDED"))
    assert budget["revision"] == awarded["revision"] + 1
    assert status_of(budget, "ilf") == "REFUSED", "below the council's 200.00 a week the fund has nothing to add to"
    assert f"ilf:{OVERTAKEN}" in budget["warnings"]
    totals = budget["totals"]
    # in 2007 the NHS may not pay a person directly, so its 900.00 is beside the budget
    assert (totals["spendable_weekly_pence"], totals["outside_weekly_pence"]) == (0, 90000)
    first, second, third = await ilf_decisions(house, ref)
    assert [(d.revision, d.outcome, d.facts_revision) for d in (first, second, third)] == [
        (1, "PROVISIONAL", 1),
        (2, "AWARDED", 1),
        (3, "REFUSED", 2),
    ]
    assert OVERTAKEN in third.warnings
    assert OVERTAKEN not in first.warnings + second.warnings

    again = await house.notice(ref, "ilf", reference="N2", weekly_pence=10000)
    assert again.json()["revision"] == 4
    budget = await house.budget_when(ref, lambda b: status_of(b, "ilf") == "AWARDED")
    assert budget["totals"]["spendable_weekly_pence"] == 10000
    assert f"ilf:{OVERTAKEN}" not in budget["warnings"]
    assert await house.parked() == []


async def test_no_budget_is_proposed_on_the_funds_answer_to_an_amount_that_is_gone(house: House) -> None:
    """The fund's service is down when the council's line ends: its old answer does not count, and is waited for."""
    ref = await house.finalised(house.somebody("G04"))
    before = await house.complete(ref)
    await house.stop("ilf")
    told = await house.notice(ref, "chc", weekly_pence=90000, package="chc", effective_from="2007-11-01")
    assert told.status_code == 202
    budget = await house.budget_when(ref, lambda b: status_of(b, "social_care") == "ENDED")
    assert (budget["state"], budget["complete"]) == ("WAITING", False)
    refused = await house.http.post(f"/budgets/{budget['budget_id']}/accept", json={"revision": before["revision"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "budget_not_proposed")

    house.start("ilf")

    async def decided_again() -> bool:
        return len(await ilf_decisions(house, ref)) == 2

    assert await eventually(decided_again)
    budget = await house.complete(ref, before["revision"] + 1)
    assert (status_of(budget, "ilf"), budget["totals"]["weekly_pence"]) == ("REFUSED", 6000), "Access to Work is left"
    assert [(f.revision, f.facts["council_weekly_pence"]) for f in await house.told(FactsSupplied, ref)] == [
        (1, 33550),
        (2, 0),
    ]
    assert [b.revision for b in await house.told(BudgetProposed, ref)] == [1, 2]
