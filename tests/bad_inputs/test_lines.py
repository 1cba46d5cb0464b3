"""Four thousand bad lines of CASES.jsonl: each refused whole, by a known code, and never repeated."""

import json
import time

import pytest

from contracts.refusal import STATUS
from tests.assessment.forms import filled_in
from tests.bad_inputs.conftest import ASSESSMENT_DATES, ASSESSMENT_REQUIRED, NOTICE
from tests.bad_inputs.spoiler import MARK, Spoiler
from tributary.case_lines import BadLine, Case, Reader

LINES = 4000


def good_line() -> dict[str, object]:
    return {"assessment": filled_in(assessment_id="GOOD-1"), "notices": [NOTICE]}


def test_every_bad_line_is_refused_by_a_code_and_never_repeated(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    spoiler = Spoiler(
        seed,
        good_line(),
        (
            ("assessment",),
            *(("assessment", *path) for path in ASSESSMENT_REQUIRED if path != ("council",)),
            ("notices", 0, "reference"),
        ),
        tuple(("assessment", *path) for path in ASSESSMENT_DATES),
    )
    started = time.monotonic()
    bad = [spoiler.spoil(n) for n in range(LINES)]
    lines = [body.replace(b"\n", b"\x01") or b"{" for body, _ in bad]
    found = list(Reader("council-a").read([*lines, json.dumps(spoiler.good).encode()]))
    assert isinstance(found.pop(), Case), "the good line beside them"
    taken = [(one.number, lines[one.number - 1]) for one in found if isinstance(one, Case)]
    assert taken == []
    told = [str(one) + json.dumps(one.as_dict()) for one in found if isinstance(one, BadLine)]
    assert len(told) == LINES
    assert [text for text in told if MARK in text] == []
    assert {one.refusal.code for one in found if isinstance(one, BadLine)} <= STATUS.keys()
    with capsys.disabled():
        print(f"\n{LINES} bad lines, seed {seed}, {time.monotonic() - started:.1f} s: {spoiler.done}")
