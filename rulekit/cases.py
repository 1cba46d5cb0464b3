"""`cases.md`: the table a policy officer can read, run as tests.

A file holds one or more fenced `json` blocks, each named by the heading above it (a starting person), and tables
whose columns are `case | start | given | on | pack | outcome | weekly | one-off | because`. `given` changes the
starting facts: `path=value` pairs divided by `;`, the path dotted (`work.hours=20`), a list element by index
(`income.0.weekly_pence=4315`), the value JSON. `supplied.X=…` sets a supplied fact, `council=…` the profile.
`weekly` and `one-off` are pounds with two decimals, or `-` for none. `because` names the rules that are not met or
unclear, or for an award the rules that calculated; every one named must have had its say with that outcome.
"""

import json
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from contracts.money import pounds
from rulekit.council import councils
from rulekit.reasons import Decision
from rulekit.stream import Question, Stream

_BLOCK = re.compile(r"^#+ +(?P<name>[^\n]+)\n(?:(?!#|```)[^\n]*\n)*```json\n(?P<body>.*?)^```", re.M | re.S)
_COLUMNS = ["case", "start", "given", "on", "pack", "outcome", "weekly", "one-off", "because"]


@dataclass(frozen=True)
class Case:
    """One row. Amounts are as the table prints them."""

    name: str
    facts: dict[str, Any]
    supplied: dict[str, int | None]
    council: str
    on: date
    pack: str
    outcome: str
    weekly: str
    one_off: str
    because: tuple[str, ...]

    def ask(self, stream: Stream) -> Decision:
        rule_set = stream.rule_set(self.pack, self.on)
        assert rule_set is not None, f"{self.name}: no rule set of {stream.name} in {self.pack} on {self.on}"
        question = Question(
            facts=msgspec.convert(self.facts, stream.facts),
            on=self.on,
            council=councils()[self.council],
            pack=self.pack,
            rule_set=rule_set.id,
            rates=stream.rates.on(self.on),
            stream=stream.definition,
            supplied=self.supplied,
        )
        return stream.decide(question)

    def faults(self, decision: Decision) -> list[str]:
        """What differs from the row; empty when the row holds."""
        weekly = sum(line.weekly_pence or 0 for line in decision.lines)
        one_off = sum(line.one_off_pence or 0 for line in decision.lines)
        spoke = {r.rule for r in decision.reasons if _decisive(r.outcome, decision.outcome)}
        found = [
            ("outcome", self.outcome, decision.outcome),
            ("weekly", self.weekly, _amount(weekly)),
            ("one-off", self.one_off, _amount(one_off)),
        ]
        faults = [f"{what}: expected {want}, got {got}" for what, want, got in found if want != got]
        silent = [rule for rule in self.because if rule not in spoke]
        return faults + ([f"because: {silent} not among {sorted(spoke)}"] if silent else [])


def _decisive(outcome: str, decision: str) -> bool:
    return outcome in {"REFUSED": ("not_met",), "UNCLEAR": ("unclear",)}.get(
        decision, ("met", "calculated", "noted", "unclear")
    )


def _amount(pence: int) -> str:
    return pounds(pence).replace("£", "").replace(",", "") if pence else "-"


def read_cases(path: Path) -> list[Case]:
    """Every row of every table of the file. Raises ValueError naming the row that cannot be read."""
    text = path.read_text()
    starts = {m["name"].strip(): json.loads(m["body"]) for m in _BLOCK.finditer(text)}
    rows = [_cells(line) if line.startswith("|") else [""] for line in text.splitlines()]
    cases, in_cases = [], False
    for row in rows:
        in_cases = row == _COLUMNS or (in_cases and row != [""])
        if not in_cases or row == _COLUMNS or set("".join(row)) <= set("-: "):
            continue
        if len(row) != len(_COLUMNS):
            raise ValueError(f"{path.name}, case {row[0]}: expected {len(_COLUMNS)} cells")
        cases.append(_case(path, starts, dict(zip(_COLUMNS, row, strict=True))))
    return cases


def _cells(line: str) -> list[str]:
    return [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]


def _case(path: Path, starts: dict[str, Any], row: dict[str, str]) -> Case:
    if row["start"] not in starts:
        raise ValueError(f"{path.name}, case {row['case']}: no starting person named {row['start']}")
    facts = json.loads(json.dumps(starts[row["start"]]))
    supplied: dict[str, int | None] = facts.pop("supplied", {})
    council = facts.pop("council", "council-a")
    for change in filter(None, (part.strip() for part in row["given"].split(";"))):
        where, _, value = change.partition("=")
        parts = where.strip().split(".")
        if parts[0] == "supplied":
            supplied[parts[1]] = json.loads(value)
        elif parts == ["council"]:
            council = value
        else:
            _put(facts, parts, json.loads(value))
    because = tuple(b.strip() for b in row["because"].split(",") if b.strip() not in ("", "-"))
    amounts = {"weekly": row["weekly"], "one_off": row["one-off"]}
    on = date.fromisoformat(row["on"])
    return Case(row["case"], facts, supplied, council, on, row["pack"], row["outcome"], **amounts, because=because)


def _put(facts: Any, parts: list[str], value: Any) -> None:
    for part in parts[:-1]:
        facts = facts[int(part)] if isinstance(facts, list) else facts.setdefault(part, {})
    if isinstance(facts, list):
        facts[int(parts[-1])] = value
    else:
        facts[parts[-1]] = value
