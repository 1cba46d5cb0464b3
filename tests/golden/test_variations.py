"""Every variation of `variations.py`, all in one run of `tributary allocate`."""

import copy
import json
from typing import Any

import pytest

from tests.golden.running import CASES, JsonObject, Run, allocate
from tests.golden.variations import VARIATIONS, Variation

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def done() -> Run:
    lines = [json.dumps(varied(number, v)) for number, v in enumerate(VARIATIONS, 1)]
    return allocate("\n".join(lines).encode(), "--quiet")


def varied(number: int, variation: Variation) -> JsonObject:
    golden = {line["assessment"]["assessment_id"]: line for line in map(json.loads, CASES.read_bytes().splitlines())}
    line: JsonObject = copy.deepcopy(golden[variation.base])
    for path, value in variation.change.items():
        *way, last = path.split(".")
        place: Any = line["assessment"]
        for step in way:
            place = place[int(step)] if step.isdigit() else place[step]
        place[last] = value
    line["assessment"]["assessment_id"] = f"V{number:02}"
    line["assessment"]["person"]["person_id"] = f"variation-{number:02}"
    if variation.notices is not None:
        line["notices"] = variation.notices
    return line


def test_all_lines_are_taken(done: Run) -> None:
    assert done.code == 0, done.stderr
    assert [b["assessment_id"] for b in done.budgets] == [f"V{n:02}" for n in range(1, len(VARIATIONS) + 1)]


@pytest.mark.parametrize("number", range(len(VARIATIONS)), ids=[f"{v.base} {v.name}" for v in VARIATIONS])
def test_variation(done: Run, number: int) -> None:
    budget, variation = done.budgets[number], VARIATIONS[number]
    assert {what: found(budget, what) for what in variation.expected} == variation.expected


def found(budget: JsonObject, what: str) -> object:
    if what == "state":
        return budget["state"]
    if what == "la":
        return (budget["allocation"] or {}).get("indicative_weekly_pence")
    if f"{what}_pence" in budget["totals"]:
        return budget["totals"][f"{what}_pence"]
    stream, _, part = what.partition(".")
    if not part:
        outcomes = {s["stream"]: s["outcome"] for s in budget["streams"]}
        return (outcomes | {n["stream"]: n["reason"] for n in budget["not_asked"]})[stream]
    lines = [line for line in budget["lines"] if line["stream"] == stream]
    if part == "status":
        return lines[0]["status"]
    name, none = {
        "weekly": ("weekly_pence", None),
        "one_off": ("one_off_pence", None),
        "pays": ("contribution_pence", 0),
    }[part]
    return next((line[name] for line in lines if name in line), none)
