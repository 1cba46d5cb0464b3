"""`tributary demo`: the golden cases through the real path, as a table a person can read."""

import json
import tempfile
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
SHORT = {"AWARDED": "", "PROVISIONAL": " provisional", "ENDED": " ended", "UNCLEAR": "unclear", "REFUSED": "no"}

NEXT = """
What to try next
  .venv/bin/tributary allocate tests/golden/cases.jsonl --out budgets.jsonl    the same, as data with every reason
  .venv/bin/tributary allocate --help                                          your own cases; docs/assessment-form.md
  .venv/bin/tributary demo --bus kafka                                         the same on Apache Kafka (Java, Maven)
  make test                                                                    everything that is promised, checked
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
    console.print(side_by_side(budgets, console.width))
    console.print(in_words(budgets[0]))
    console.print(Text(NEXT))
    return code


def side_by_side(budgets: list[dict[str, Any]], width: int) -> Table:
    """One row a budget, one column a stream, then what it adds up to."""
    table = Table(title="Individual Budgets, stream by stream", caption=LEGEND, expand=width < 140)
    table.add_column("case")
    table.add_column("eligibility")
    for stream in lock().streams:
        table.add_column(stream.name.replace("_", " "), justify="right")
    for heading in ("a week", "once", "person pays"):
        table.add_column(heading, justify="right", style="bold")
    for budget in budgets:
        table.add_row(*_row(budget))
    return table


LEGEND = "pounds; 'no' is a refusal with reasons, '-' a stream not in force, () money beside the budget, never in it"


def _row(budget: dict[str, Any]) -> list[Text | str]:
    totals = budget["totals"]
    version = f" v{budget['version']}" if budget["version"] > 1 else ""
    return [
        f"{budget['assessment_id']}{version}",
        _eligibility(budget["eligibility"]),
        *(_cell(budget, stream.name) for stream in lock().streams),
        _amount(totals["weekly_pence"]),
        _amount(totals["one_off_pence"]),
        _amount(totals["contribution_weekly_pence"]),
    ]


def _eligibility(found: dict[str, Any] | None) -> str:
    if found is None:
        return "?"
    if "band" in found:
        return str(found["band"]).lower()
    return f"{len(found.get('outcomes', []))} outcomes"


def _amount(pence: int | None) -> str:
    return "?" if pence is None else pounds(pence).removeprefix("£") if pence else ""


def _cell(budget: dict[str, Any], stream: str) -> Text:
    if any(n["stream"] == stream for n in budget["not_asked"]):
        return Text("-", style="dim")
    cell = Text()
    for line in (found for found in budget["lines"] if found["stream"] == stream):
        cell.append("\n" if cell else "")
        cell.append(_line(line), style=STYLES.get(line["status"], "dim"))
    return cell


def _line(line: dict[str, Any]) -> str:
    word = SHORT.get(line["status"], line["status"].lower())
    pence = line.get("weekly_pence") or line.get("one_off_pence")
    if not pence:
        return word.strip() or "yes"
    amount = pounds(pence).removeprefix("£") + (" once" if line.get("one_off_pence") else "")
    return f"({amount}){word}" if line.get("in_budget") is False else amount + word


def in_words(budget: dict[str, Any]) -> Text:
    """One budget, pound by pound."""
    text = Text(f"\n{budget['assessment_id']}, pound by pound\n", style="bold")
    for pound in budget["per_pound"]:
        text.append(f"  {pound['stream'].replace('_', ' ')}: ", style="bold")
        text.append(f"{pound['says']}\n", style="not bold")
    text.append("  why no other stream pays: ", style="bold")
    refused = [s for s in budget["streams"] if s["outcome"] == "REFUSED"]
    text.append("; ".join(_why(s) for s in refused) + ".\n", style="not bold")
    return text


def _why(decision: dict[str, Any]) -> str:
    reason = next(r for r in decision["reasons"] if r["outcome"] == "not_met")
    return f"{decision['stream'].replace('_', ' ')} - {reason['says'][0].lower()}{reason['says'][1:]}: not met"
