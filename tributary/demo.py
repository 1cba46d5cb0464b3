"""`tributary demo`: the golden cases through the real path, as a table a person can read."""

import itertools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from contracts.lock import lock
from contracts.money import pounds
from tributary import run
from tributary.options import BusName, Options

CASES = Path(__file__).parents[1] / "tests" / "golden" / "cases.jsonl"
STYLES = {"AWARDED": "green", "PROVISIONAL": "yellow", "ENDED": "dim", "UNCLEAR": "yellow", "LATE": "red"}
WORDS = {"AWARDED": "", "PROVISIONAL": "provisional", "ENDED": "ended", "UNCLEAR": "unclear", "REFUSED": "no"}
LABEL_WIDTH, CELL_WIDTH = 20, 13
LEGEND = """£ a week unless it says once. no: refused, with reasons. -: not in force on the date.
ended: taken over, no longer counted. (): tracked beside the budget, never in it.
v2: the assessment's second version. G01 to G11 are worked by hand in tests/golden/README.md."""

NEXT = """
What to try next
  .venv/bin/tributary allocate tests/golden/cases.jsonl --out budgets.jsonl
      the same as data, every reason and citation with it
  .venv/bin/tributary allocate --help
      your own cases; docs/assessment-form.md explains every field
  .venv/bin/tributary demo --bus kafka
      the same through Apache Kafka (needs Java 17 and Maven)
  make test
      everything that is promised, checked
"""


def show(bus: BusName) -> int:
    """Returns the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "budgets.jsonl"
        code = run.allocate(CASES, out, Options(bus=bus))
        if code != run.DONE:
            return code
        budgets = [json.loads(line) for line in out.read_text().splitlines()]
    console = Console()
    console.print(Text("\nIndividual Budgets, stream by stream", style="bold"))
    across = max(2, (console.width - LABEL_WIDTH) // CELL_WIDTH)
    for some in _chunks(budgets, across):
        console.print(side_by_side(some))
    console.print(Text(f"{LEGEND}\n{short_names()}", style="dim"))
    for paragraph in in_words(budgets[0]):
        console.print(paragraph)
    console.print(Text(NEXT))
    return code


def short_names() -> str:
    """What the short names stand for."""
    return ". ".join(f"{s.name}: {s.title}" for s in lock().streams if len(s.name) <= 4) + "."


def _chunks(budgets: list[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    several = iter(budgets)
    while some := list(itertools.islice(several, size)):
        yield some


def side_by_side(budgets: list[dict[str, Any]]) -> Table:
    """One column a budget, one row a stream, then what it adds up to."""
    table = Table(padding=(0, 1, 0, 0))
    table.add_column("", style="bold")
    for budget in budgets:
        version = f" v{budget['version']}" if budget["version"] > 1 else ""
        table.add_column(f"{budget['assessment_id']}{version}", justify="right")
    table.add_row("eligibility", *(_eligibility(b["eligibility"]) for b in budgets), end_section=True)
    for stream in lock().streams:
        table.add_row(stream.name.replace("_", " "), *(_cell(b, stream.name) for b in budgets))
    table.add_section()
    table.add_row("budget, a week", *(_amount(b["totals"]["weekly_pence"]) for b in budgets), style="bold")
    table.add_row("budget, once", *(_amount(b["totals"]["one_off_pence"]) for b in budgets), style="bold")
    table.add_row("person pays", *(_amount(b["totals"]["contribution_weekly_pence"]) for b in budgets))
    return table


def _eligibility(found: dict[str, Any] | None) -> str:
    if found is None:
        return "?"
    return str(found["band"]).lower() if "band" in found else f"{len(found.get('outcomes', []))} outcomes"


def _amount(pence: int | None) -> str:
    return "unclear" if pence is None else pounds(pence).removeprefix("£") if pence else ""


def _cell(budget: dict[str, Any], stream: str) -> Text:
    if any(n["stream"] == stream for n in budget["not_asked"]):
        return Text("-", style="dim")
    lines = [found for found in budget["lines"] if found["stream"] == stream]
    return Text("\n").join(Text(_line(line), style=STYLES.get(line["status"], "dim")) for line in lines)


def _line(line: dict[str, Any]) -> str:
    word = WORDS.get(line["status"], line["status"].lower())
    pence = line.get("weekly_pence") or line.get("one_off_pence")
    if not pence:
        return word or "yes"
    amount = pounds(pence).removeprefix("£")
    amount = f"({amount})" if line.get("in_budget") is False else amount
    return "\n".join(filter(None, [amount, "once" if line.get("one_off_pence") else "", word]))


def in_words(budget: dict[str, Any]) -> Iterator[Text]:
    """One budget: where each pound comes from, and why the others said no."""
    yield Text(f"\n{budget['assessment_id']}, pound by pound", style="bold")
    for pound in budget["per_pound"]:
        yield Text.assemble((f"  {pound['stream'].replace('_', ' ')}: ", "green"), pound["says"])
    for decision in budget["streams"]:
        if decision["outcome"] == "REFUSED":
            reason = next(r for r in decision["reasons"] if r["outcome"] == "not_met")
            name = decision["stream"].replace("_", " ")
            yield Text.assemble((f"  {name}: no. ", "yellow"), "What is not met: ", reason["says"])
