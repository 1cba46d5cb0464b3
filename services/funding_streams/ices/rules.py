"""Community equipment (rule book §9): the standard items prescribed, free; what is dearer is topped up."""

from contracts.facts.means import EquipmentItem
from contracts.streams import Line
from rulekit.reasons import Decision, Reasons, Rule
from rulekit.stream import Question
from services.funding_streams.ices.facts import Facts

PRESCRIBED = Rule(
    "EQ-PRESCRIBED",
    "Equipment has been prescribed",
    "Lawskills on HSC 2001/008; rule book §9 R-EQ-1",
    "source",
)
WHEELCHAIR = Rule(
    "EQ-WHEELCHAIR",
    "A permanent wheelchair comes from the NHS wheelchair service",
    "Lawskills; rule book §9 R-EQ-1",
    "source",
)
OVER_LIMIT = Rule(
    "EQ-OVER-LIMIT",
    "A minor adaptation that costs more than the limit is not free here: a grant or another way may help",
    "SI 2014/2673 reg 2; SI 2014/2672 reg 3; rule book §9 R-EQ-2; its standard price is the cost [design]",
    "source",
)
COVERED = Rule(
    "EQ-COVERED",
    "Something prescribed is for this service to supply",
    "SI 2014/2673 reg 2; rule book §9 R-EQ-1, R-EQ-2",
    "source",
)
PRICE = Rule(
    "EQ-PRICE",
    "The standard price of every item is known",
    "rule book §9 R-EQ-3; a price of nothing is taken as not known",
    "design",
)
RETAIL = Rule(
    "EQ-RETAIL",
    "A prescription from the national catalogue may be used at an accredited retailer",
    "NAEP slides 2008; Devon workbook 2014; rule book §9 R-EQ-4",
    "source",
)
AWARD = Rule(
    "EQ-AWARD",
    "The standard price of what is prescribed is paid, and you are not charged for it",
    "seed 001 §8.5; SI 2014/2673 reg 2; rule book §9 R-EQ-2, R-EQ-3; a cheaper choice is no saving [design]",
    "source",
)
TOP_UP = Rule(
    "EQ-TOP-UP",
    "Choose a dearer item and the difference comes from you or from the council's part of your budget",
    "seed 001 §8.5; rule book §9 R-EQ-3; never from another stream's money [design]",
    "source",
)
RESCORE = Rule(
    "EQ-RESCORE",
    "Once it is fitted, the needs it helps with are looked at again at the first review",
    "rule book §9 R-EQ-7; seed 001 §8.3 says as much of adaptations",
    "design",
)


def decide(q: Question[Facts]) -> Decision:
    reasons = Reasons()
    items = q.facts.equipment
    warnings: tuple[str, ...] = ()
    if reasons.check(PRESCRIBED, bool(items), items=len(items)):
        over = [item for item in items if _over_limit(q, item)]
        covered = [item for item in items if item not in over and item.kind != "permanent_wheelchair"]
        warnings = ("over_minor_adaptation_limit",) if over else ()
        _note_others(reasons, q, over)
        if reasons.check(COVERED, bool(covered), items=len(items), covered=len(covered)):
            unpriced = sum(item.prescribed_standard_price_pence == 0 for item in covered)
            reasons.check(PRICE, None if unpriced else True, without_price=unpriced)
    if blocked := reasons.blocked():
        return Decision(outcome=blocked, reasons=reasons.all(), warnings=warnings)
    line = _line(reasons, q, covered)
    return Decision(outcome="AWARDED", reasons=reasons.all(), lines=(line,), warnings=warnings)


def _over_limit(q: Question[Facts], item: EquipmentItem) -> bool:
    limit = q.rates["minor_adaptation_free_max"].pence
    return item.kind == "minor_adaptation" and item.prescribed_standard_price_pence > limit


def _note_others(reasons: Reasons, q: Question[Facts], over: list[EquipmentItem]) -> None:
    """Why an item is not supplied here."""
    limit = q.rates["minor_adaptation_free_max"]
    for item in over:
        reasons.note(OVER_LIMIT, limit, item=item.item_code, cost_pence=item.prescribed_standard_price_pence)
    for item in q.facts.equipment:
        if item.kind == "permanent_wheelchair":
            reasons.note(WHEELCHAIR, item=item.item_code)


def _line(reasons: Reasons, q: Question[Facts], covered: list[EquipmentItem]) -> Line:
    if q.rule_set == "tces-retail-2008":
        reasons.note(RETAIL)
    award = reasons.calculate(AWARD, sum(item.prescribed_standard_price_pence for item in covered), items=len(covered))
    top_up = sum(_top_up(item) for item in covered)
    if top_up:
        from_budget = sum(_top_up(item) for item in covered if item.top_up_source == "IB_LINE:LA")
        reasons.calculate(TOP_UP, top_up, own_pence=top_up - from_budget, from_council_line_pence=from_budget)
    reasons.note(RESCORE)
    return Line(
        status="AWARDED",
        ring_fence=q.stream.ring_fence,
        timing=q.stream.timing,
        decision_maker=q.stream.decision_maker,
        chargeable=False,
        in_budget=q.stream.in_budget,
        one_off_pence=award,
        top_up_pence=top_up,
    )


def _top_up(item: EquipmentItem) -> int:
    """Pence between the item chosen and the standard one; nothing where none was chosen or it is cheaper."""
    standard = item.prescribed_standard_price_pence
    return max(0, (item.chosen_price_pence or standard) - standard)
