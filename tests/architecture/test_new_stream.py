"""Adding a stream is one folder and a regenerated lock: a carers' grant, added to a copy of the project."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("chassis", "contracts", "deploy", "rulekit", "services", "streamkit", "tributary")

STREAM = """
[stream]
name = "carers_grant"
title = "Carers' grant"
owner = "the council"
statute = "a test's own"
decision_maker = "council"
decides_here = true
ring_fence = "CARER_OUTCOMES"
timing = "ADVANCE"
shares = "statutory"
clock_days = 28
clock_source = "design"
from = 2003-04-01

[[rule_sets]]
id = "grant-1"
packs = ["pilot-2007", "care-act-2025"]
from = 2003-04-01
status = "i"
source = "a test's own"

[[rates]]
key = "hours_needed"
value = "35"
from = 2003-04-01
status = "i"
source = "a test's own"

[[rates]]
key = "weekly"
value = "21.50"
from = 2003-04-01
status = "i"
source = "a test's own"
"""
FACTS = """
import msgspec

from contracts.facts.bounds import HoursAWeek


class Carer(msgspec.Struct, frozen=True, kw_only=True):
    hours: HoursAWeek | None = None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    carers: list[Carer] = []
"""
RULES = """
from contracts.streams import Line
from rulekit.reasons import Decision, Reasons, Rule
from rulekit.stream import Question

HOURS = Rule("CG-HOURS", "Somebody cares for you 35 hours a week or more", "a test's own", "illustrative")
AMOUNT = Rule("CG-AMOUNT", "The grant is a flat sum", "a test's own", "illustrative")


def decide(q):
    reasons = Reasons()
    needed, weekly = q.rates["hours_needed"], q.rates["weekly"]
    most = max((int(c.hours or 0) for c in q.facts.carers), default=0)
    if not reasons.check(HOURS, most >= needed.number, needed, hours=most):
        return Decision(outcome="REFUSED", reasons=reasons.all())
    line = Line(
        status="AWARDED", ring_fence=q.stream.ring_fence, timing=q.stream.timing, chargeable=False,
        decision_maker=q.stream.decision_maker, weekly_pence=reasons.calculate(AMOUNT, weekly.pence, weekly),
    )
    return Decision(outcome="AWARDED", reasons=reasons.all(), lines=(line,))
"""
SERVICE = "from streamkit.service import stream_service\n\nservice = stream_service(__name__, __file__)\n"
CASES = """
### Carer

```json
{"carers": [{"hours": 35}]}
```

| case | start | given | on | pack | outcome | weekly | one-off | because |
|---|---|---|---|---|---|---|---|---|
| 35 hours | Carer | | 2007-06-04 | pilot-2007 | AWARDED | 21.50 | - | CG-AMOUNT |
| 34 hours | Carer | `carers.0.hours=34` | 2007-06-04 | pilot-2007 | REFUSED | - | - | CG-HOURS |
"""


@pytest.fixture(scope="module")
def house() -> Iterator[Path]:
    """A copy of the project with one more folder in it, and its lock made anew."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        for package in PACKAGES:
            shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__", "secrets"))
        folder = copy / "services" / "funding_streams" / "carers_grant"
        folder.mkdir()
        files = {"stream.toml": STREAM, "facts.py": FACTS, "rules.py": RULES, "cases.md": CASES, "__init__.py": SERVICE}
        for file, text in files.items():
            (folder / file).write_text(text)
        run(copy, "-m", "deploy.generate.lock")
        yield copy


def run(where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python there, seeing that copy and not the project that is installed."""
    environment = {**os.environ, "PYTHONPATH": str(where)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=where, env=environment, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_its_line_is_in_the_budget(house: Path) -> None:
    line = json.loads((ROOT / "tests" / "golden" / "cases.jsonl").read_text().splitlines()[0])
    line["assessment"]["carers"][0]["hours"] = 40
    cases = house / "cases.jsonl"
    cases.write_text(json.dumps(line) + "\n")
    done = run(house, "-c", "from tributary.cli import main; main()", "allocate", str(cases), "--quiet")
    budget = json.loads(done.stdout)
    found = [found for found in budget["lines"] if found["stream"] == "carers_grant"]
    assert [(f["status"], f["weekly_pence"], f["ring_fence"]) for f in found] == [("AWARDED", 2150, "CARER_OUTCOMES")]
    assert budget["totals"]["weekly_pence"] == 18675 + 2150  # G01's £186.75 and the grant's £21.50
    reasons = next(s["reasons"] for s in budget["streams"] if s["stream"] == "carers_grant")
    assert [r["rule"] for r in reasons] == ["CG-HOURS", "CG-AMOUNT"]


def test_its_cases_run(house: Path) -> None:
    check = (
        "from pathlib import Path; from rulekit.cases import read_cases; from rulekit.stream import read_stream;"
        "m = 'services.funding_streams.carers_grant'; f = Path(m.replace('.', '/')); s = read_stream(m, f);"
        "assert [c.faults(c.ask(s)) for c in read_cases(f / 'cases.md')] == [[], []]"
    )
    run(house, "-c", check)


def test_its_reader_gets_nothing_else(house: Path) -> None:
    lock = json.loads((house / "contracts" / "streams.lock").read_text())
    facts = next(s["facts"] for s in lock["streams"] if s["name"] == "carers_grant")
    assert facts == {"carers": {"*": {"hours": True}}}


@pytest.mark.parametrize("asked", ["person_id: str = ''", "address: str = ''", "communication_needs: str = ''"])
def test_a_reader_cannot_ask_who_somebody_is(house: Path, asked: str) -> None:
    facts = house / "services" / "funding_streams" / "carers_grant" / "facts.py"
    nosy = FACTS.replace("carers: list", "person: 'Person'\n    carers: list") + (
        f"\n\nclass Person(msgspec.Struct, frozen=True, kw_only=True):\n    {asked}\n"
    )
    facts.write_text(nosy)
    try:
        with pytest.raises(AssertionError, match="which no reader may have"):
            run(house, "-m", "deploy.generate.lock")
    finally:
        facts.write_text(FACTS)
