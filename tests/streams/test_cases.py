"""Every row of every stream's `cases.md`, and that every rule is seen to fail in some row."""

import importlib
from pathlib import Path

import pytest

from rulekit.cases import Case, read_cases
from rulekit.stream import Stream, read_stream

ROOT = Path(__file__).parents[2]


def streams() -> list[Stream]:
    found = []
    for toml in sorted(ROOT.glob("services/*/*/stream.toml")):
        module = ".".join(toml.parent.relative_to(ROOT).parts)
        importlib.import_module(module)
        found.append(read_stream(module, toml.parent))
    return found


STREAMS = streams()
ROWS = [(s, c) for s in STREAMS for c in read_cases(s.folder / "cases.md")]


@pytest.mark.parametrize(("stream", "case"), ROWS, ids=[f"{s.name}: {c.name}" for s, c in ROWS])
def test_case(stream: Stream, case: Case) -> None:
    assert case.faults(case.ask(stream)) == []


@pytest.mark.parametrize("stream", STREAMS, ids=[s.name for s in STREAMS])
def test_every_condition_is_seen_to_hold_and_to_fail(stream: Stream) -> None:
    """A rule that only calculates must have been seen to calculate."""
    seen: dict[str, set[str]] = {}
    for case in read_cases(stream.folder / "cases.md"):
        for reason in case.ask(stream).reasons:
            seen.setdefault(reason.rule, set()).add(reason.outcome)
    for rule in stream.all_rules:
        outcomes = seen.get(rule.id, set())
        assert outcomes, f"{rule.id} never spoke"
        if outcomes & {"met", "not_met", "unclear"}:
            assert "met" in outcomes, f"{rule.id} was never met"
            assert outcomes & {"not_met", "unclear"}, f"{rule.id} was never seen to fail"
