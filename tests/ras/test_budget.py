"""One assessment, many answers, one budget: whatever the order, however often each is delivered. Amounts by hand."""

import itertools
import random
from datetime import date, timedelta
from typing import Literal

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.budget import BudgetLine, BudgetProposed
from contracts.streams import Line, RingFence, StreamDecided
from services.ras.domain.budget import budget_id
from tests.ras.deciding import AT, Arrival, Deciders, Desk, changed, golden, settled

# Weekly and one-off pence of the whole budget, and what the person pays: rule book §24.
TOTALS = {
    "G01": (18675, 26800, 4984),  # council 186.75; equipment 28.00 + 240.00
    "G04": (71775, 248000, 0),  # council 335.50, ILF 322.25, Access to Work 60.00; one-off 2,480.00
    "G06": (83800, 496000, 2350),  # council 594.00, Access to Work 244.00; one-off 4,960.00
    "G09": (18700, 0, 0),  # council 136.00, housing support 51.00
    "G11": (38580, 0, 805),  # council 244.75, ILF 141.05; the adaptation is beside the budget
}


def summary(budget: BudgetProposed) -> tuple[int, int, int | None]:
    totals = budget.totals
    return totals.weekly_pence, totals.one_off_pence, totals.contribution_weekly_pence


def one_budget(desk: Desk) -> BudgetProposed:
    (budget,) = desk.budgets
    assert (budget.revision, budget.complete, budget.state) == (1, True, "PROPOSED")
    assert budget.budget_id == budget_id(desk.case.assessment_ref)
    return budget


def line_of(budget: BudgetProposed, stream: str) -> BudgetLine:
    (line,) = [line for line in budget.lines if line.stream == stream]
    return line


@pytest.mark.parametrize("name", TOTALS)
def test_the_plain_order_gives_the_right_budget(name: str) -> None:
    assert summary(one_budget(settled(Deciders(golden()[name])))) == TOTALS[name]


def test_every_order_of_the_five_that_matter_most_each_delivered_twice() -> None:
    """G04: all 120 orders of the question, the gateway, two streams with money and the one that waits for facts."""
    deciders = Deciders(golden()["G04"])
    expected = one_budget(settled(deciders))
    arrivals: dict[str, Arrival] = {name: case.decided for name, case in deciders.streams.items() if case.decided}
    assert len(arrivals) == 7
    arrivals["ras"] = deciders.asked
    rest = [arrivals[n] for n in arrivals if n not in ("ras", "social_care", "ilf", "access_to_work", "chc")]
    luck = random.Random(4)
    orders = list(itertools.permutations(["ras", "social_care", "ilf", "access_to_work", "chc"]))
    assert len(orders) == 120
    for order in orders:
        sequence: list[Arrival] = [arrivals[name] for name in order]
        for extra in [*rest, *arrivals.values()]:
            sequence.insert(luck.randint(0, len(sequence)), extra)
        desk = Desk.open(deciders)
        for arrival in sequence:
            desk.take(arrival)
        assert one_budget(desk) == expected, order


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(sorted(TOTALS)), st.randoms(use_true_random=False))
def test_any_order_at_all_gives_one_budget_and_the_same_lines(name: str, luck: random.Random) -> None:
    """As it really happens: the stream that waits for facts answers only once they have reached it."""
    deciders = Deciders(golden()[name])
    first: list[Arrival] = [deciders.asked, *deciders.answers()] * 2
    desk = Desk.open(deciders)
    desk.run(deciders, first, pick=lambda n: luck.randrange(n))
    budget = one_budget(desk)
    assert summary(budget) == TOTALS[name]
    assert budget.lines == settled(Deciders(golden()[name])).budget.lines
    assert budget.decisions == dict.fromkeys(sorted(deciders.streams), 1)


@pytest.mark.parametrize("missing", ["social_care", "access_to_work", "ilf", "ices", "ras"])
def test_one_answer_short_is_no_budget_however_often_the_others_come(missing: str) -> None:
    """Answers are counted by stream. Six answers delivered twice are not seven."""
    deciders = Deciders(golden()["G04"])
    settled(deciders)
    arrivals: list[Arrival] = [a for n, c in deciders.streams.items() if n != missing and (a := c.decided)]
    if missing != "ras":
        arrivals.append(deciders.asked)
    desk = Desk.open(deciders)
    for arrival in arrivals * 3:
        desk.take(arrival)
    assert desk.budgets == []
    assert not desk.case.is_complete


def equipment(answer: StreamDecided, revision: int, pence: int) -> StreamDecided:
    line = msgspec.structs.replace(answer.lines[0], one_off_pence=pence)
    return msgspec.structs.replace(answer, revision=revision, lines=(line,))


@pytest.mark.parametrize("order", list(itertools.permutations([1, 2, 3])))
def test_the_highest_revision_stays_whatever_the_order(order: tuple[int, ...]) -> None:
    deciders = Deciders(golden()["G01"])
    settled(deciders)
    answers = {n: c.decided for n, c in deciders.streams.items() if c.decided}
    first = answers.pop("ices")
    ices = {n: equipment(first, n, 10000 * n) for n in (1, 2, 3)}
    desk = Desk.open(deciders)
    arrivals: list[Arrival] = [deciders.asked, *answers.values(), *(ices[n] for n in order + order)]
    for arrival in arrivals:
        desk.take(arrival)
    assert desk.budget.totals.one_off_pence == 30000
    assert desk.budget.decisions["ices"] == 3
    assert [b.revision for b in desk.budgets] == list(range(1, len(desk.budgets) + 1))
    assert len({msgspec.json.encode(b) for b in desk.budgets}) == len(desk.budgets)


def test_a_gateway_that_changes_its_mind_is_told_to_those_who_wait() -> None:
    """The ILF's answer on the old amount does not complete a budget on the new one."""
    deciders = Deciders(golden()["G04"])
    desk = settled(deciders)
    gateway = deciders.streams["social_care"].decided
    assert gateway is not None
    supplied = desk.take(msgspec.structs.replace(gateway, revision=2, outcome="REFUSED"))
    assert [(s.audience, s.revision, s.facts) for s in supplied] == [
        ("ilf", 2, {"council_weekly_pence": 0, "contribution_weekly_pence": 0})
    ]
    assert len(desk.budgets) == 1
    (ilf,) = deciders.answers(supplied)
    assert (ilf.stream, ilf.revision, ilf.outcome, ilf.facts_revision) == ("ilf", 2, "REFUSED", 2)
    desk.take(ilf)
    assert [b.state for b in desk.budgets] == ["PROPOSED", "NO_BUDGET"]
    assert desk.budget.totals.spendable_weekly_pence == 0


# Late


def test_a_silent_stream_is_late_once_by_an_event_and_its_answer_still_counts() -> None:
    """G01, equipment: 28 days. Until then the budget waits; then it goes on without; then the answer completes it."""
    deciders = Deciders(golden()["G01"], silent=frozenset({"ices"}))
    desk = settled(deciders)
    case = desk.case
    assert desk.budgets == []
    assert case.next_due() == AT + timedelta(days=28)
    assert case.pass_deadlines(AT + timedelta(days=28, seconds=-1)) == []
    assert line_of(case.budget(deciders.asked, 0), "ices").status == "WAITING"

    for day in (28, 28, 29, 400):
        desk.told += case.pass_deadlines(AT + timedelta(days=day))
    (late,) = desk.late
    assert (late.stream, late.clock_days, late.waiting_for) == ("ices", 28, "answer")
    (budget,) = desk.budgets
    assert line_of(budget, "ices").status == "LATE"
    assert (budget.complete, budget.state, summary(budget)) == (True, "PROPOSED", (18675, 0, 4984))
    assert "ices:late" in budget.warnings
    assert case.next_due() is None

    deciders.silent = frozenset()
    for answer in deciders.answers() * 2:
        desk.take(answer)
    assert [b.revision for b in desk.budgets] == [1, 2]
    assert summary(desk.budget) == TOTALS["G01"]
    assert line_of(desk.budget, "ices").status == "AWARDED"
    assert "ices:late" not in desk.budget.warnings
    assert desk.late == [late]


def test_a_notice_that_does_not_come_is_late_once_and_its_money_is_never_spendable() -> None:
    """G06, Access to Work: 109 days for the DWP's notice. Screened at 244.00 a week and 4,960.00 once."""
    deciders = Deciders(golden()["G06"])
    desk = settled(deciders)
    for day in (108, 109, 109, 500):
        desk.told += desk.case.pass_deadlines(AT + timedelta(days=day))
    (late,) = desk.late
    assert (late.stream, late.waiting_for, late.clock_days) == ("access_to_work", "notice", 109)
    totals = desk.budget.totals
    assert (totals.weekly_pence, totals.spendable_weekly_pence, totals.provisional_weekly_pence) == (
        83800,
        59400,
        24400,
    )
    assert (totals.spendable_one_off_pence, totals.provisional_one_off_pence) == (0, 496000)

    for answer in deciders.notice("access_to_work", weekly_pence=24400, one_off_pence=496000):
        desk.take(answer)
    totals = desk.budget.totals
    assert (totals.spendable_weekly_pence, totals.spendable_one_off_pence) == (83800, 496000)
    assert (totals.provisional_weekly_pence, totals.provisional_one_off_pence) == (0, 0)
    desk.told += desk.case.pass_deadlines(AT + timedelta(days=900))
    assert desk.late == [late]


def test_nobody_is_late_before_the_question_is_there() -> None:
    deciders = Deciders(golden()["G01"])
    desk = Desk.open(deciders)
    for answer in deciders.answers():
        desk.take(answer)
    assert desk.case.next_due() is None
    assert desk.case.pass_deadlines(AT + timedelta(days=1000)) == []


@pytest.mark.parametrize("name", sorted(golden()))
def test_what_waits_for_a_notice_is_never_spendable(name: str) -> None:
    budget = settled(Deciders(golden()[name])).budget
    inside = [line for line in budget.lines if line.in_budget]
    awarded = [line for line in inside if line.status == "AWARDED"]
    provisional = [line for line in inside if line.status == "PROVISIONAL"]
    totals = budget.totals
    assert totals.spendable_weekly_pence == sum(line.weekly_pence or 0 for line in awarded)
    assert totals.spendable_one_off_pence == sum(line.one_off_pence or 0 for line in awarded)
    assert totals.provisional_weekly_pence == sum(line.weekly_pence or 0 for line in provisional)
    assert totals.weekly_pence == totals.spendable_weekly_pence + totals.provisional_weekly_pence
    weeks = 26 if name == "G09" else 52  # G09's money is for 26 weeks
    assert totals.yearly_pence == weeks * totals.weekly_pence
    assert all(line.decision_maker for line in [*awarded, *provisional])


# The gateway


def test_continuing_healthcare_ends_the_councils_line() -> None:
    """G03: the NHS pays 780.00 from 1 November. 546.00 of the council ends that day, and nobody charges."""
    deciders = Deciders(golden()["G03"])
    desk = settled(deciders)
    assert summary(desk.budget) == (54600, 0, 10225)
    told = {"weekly_pence": 78000, "package": "chc", "effective_from": date(2025, 11, 1)}
    for answer in deciders.notice("chc", **told) * 2:
        desk.take(answer)
    council, nhs = line_of(desk.budget, "social_care"), line_of(desk.budget, "chc")
    assert (council.status, council.weekly_pence, council.end) == ("ENDED", 54600, date(2025, 11, 1))
    assert (nhs.status, nhs.weekly_pence, nhs.chargeable, nhs.in_budget) == ("AWARDED", 78000, False, True)
    assert summary(desk.budget) == (78000, 0, 0)
    assert desk.budget.totals.net_weekly_pence == 78000
    assert [b.revision for b in desk.budgets] == [1, 2]


def test_a_refused_gateway_is_no_budget_and_the_rest_stands_beside_it() -> None:
    """G01 with one routine at risk: LOW, and the council helps from SUBSTANTIAL. The equipment is still hers."""
    small = {"personal_care_domestic_unable": {"now": "one_or_two"}}
    desk = settled(Deciders(changed("G01", facs=small, domain_levels={"D02": 1})))
    budget = desk.budget
    assert (budget.state, budget.complete, len(desk.budgets)) == ("NO_BUDGET", True, 1)
    assert line_of(budget, "social_care").status == "REFUSED"
    ices = line_of(budget, "ices")
    assert (ices.status, ices.one_off_pence, ices.in_budget) == ("AWARDED", 26800, False)
    totals = budget.totals
    assert (totals.weekly_pence, totals.one_off_pence, totals.spendable_one_off_pence) == (0, 0, 0)
    assert (totals.outside_one_off_pence, totals.contribution_weekly_pence) == (26800, 0)


def test_a_gateway_that_cannot_tell_yet_is_neither_a_budget_nor_a_refusal() -> None:
    """The Care Act outcomes left blank: unclear, so the contribution is not nothing, it is not known."""
    desk = settled(Deciders(changed("G03", care_act={})))
    assert desk.budget.state == "WAITING"
    assert line_of(desk.budget, "social_care").status == "UNCLEAR"
    assert desk.budget.totals.contribution_weekly_pence is None
    assert desk.budget.totals.net_weekly_pence is None


def test_a_superseded_case_says_so_and_never_proposes_again() -> None:
    deciders = Deciders(golden()["G05"], silent=frozenset({"ices"}))
    desk = settled(deciders)
    desk.case.superseded = True
    desk.told += desk.case.pass_deadlines(AT + timedelta(days=28))
    assert [b.state for b in desk.budgets] == ["SUPERSEDED"]


# The person's contribution

charged = st.builds(
    Line,
    status=st.sampled_from(["AWARDED", "PROVISIONAL", "REFUSED"]),
    ring_fence=st.just("HOUSING_SUPPORT"),
    timing=st.just("ADVANCE"),
    decision_maker=st.just("somebody"),
    chargeable=st.booleans(),
    in_budget=st.booleans(),
    weekly_pence=st.one_of(st.none(), st.integers(0, 9000)),
)


def charged_line(status: Literal["AWARDED", "REFUSED"], pence: int) -> Line:
    fence: RingFence = "HOUSING_SUPPORT"
    return Line(
        status=status, ring_fence=fence, timing="ADVANCE", decision_maker="x", chargeable=True, weekly_pence=pence
    )


@settings(max_examples=100, deadline=None)
@example(22, [charged_line("REFUSED", 100)], [charged_line("AWARDED", 100)])
@given(st.integers(0, 60), st.lists(charged, max_size=3), st.lists(charged, max_size=3))
def test_the_contribution_is_placed_once_and_never_above_a_line(
    capital_thousands: int, first: list[Line], second: list[Line]
) -> None:
    """On G01, with savings that move what she pays, and lines of two other streams that may be charged for."""
    deciders = Deciders(changed("G01", capital={"person_pence": capital_thousands * 1_000_00}))
    desk = Desk.open(deciders)
    desk.run(deciders, [deciders.asked, *deciders.answers()])
    for name, lines in (("supporting_people", first), ("ices", second)):
        held = deciders.streams[name].decided
        assert held is not None
        desk.take(msgspec.structs.replace(held, revision=2, outcome="AWARDED", lines=tuple(lines)))
    budget = desk.budget
    asked = desk.case.contribution(deciders.asked, budget.lines)
    assert asked is not None
    pays = asked.contribution_weekly_pence or 0
    live = [line for line in budget.lines if line.status in ("AWARDED", "PROVISIONAL")]
    can_pay = [line for line in live if line.chargeable]
    for line in budget.lines:
        assert 0 <= line.contribution_pence <= (line.weekly_pence or 0)
        assert line.contribution_pence == 0 or line in can_pay
    assert sum(line.contribution_pence for line in budget.lines) == min(
        pays, sum(line.weekly_pence or 0 for line in can_pay)
    )
    council = line_of(budget, "social_care")
    assert council.contribution_pence == min(pays, council.weekly_pence or 0), "the council's line is charged first"
    inside = [line for line in live if line.in_budget]
    paid = sum(line.contribution_pence for line in inside)
    assert budget.totals.contribution_weekly_pence == paid
    assert budget.totals.net_weekly_pence == budget.totals.weekly_pence - paid


def test_a_version_that_comes_after_the_one_that_replaces_it_is_superseded() -> None:
    """Version 2 first, then version 1: one live budget, whatever the order (the handler opens what is superseded)."""
    deciders = Deciders(golden()["G01"])
    desk = Desk.open(deciders)
    desk.case.supersede()
    desk.run(deciders, [deciders.asked, *deciders.answers()])
    assert desk.budget.state == "SUPERSEDED"
    assert desk.case.budget(deciders.asked, 1).state == "SUPERSEDED"
