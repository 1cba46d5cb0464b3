"""A file with every kind of fault in it. Each bad line is named by number, code and field, never by its content; each
good line beside it still becomes a budget; and of a bad line nothing is kept.

In `bad_lines.jsonl` every bad line says "canary-7q" and every good one "good-7q".
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.golden.running import HERE, Run, allocate

pytestmark = pytest.mark.timeout(300)
CANARY, GOOD = b"canary-7q", b"good-7q"
TOO_LONG = b'{"assessment": {"assessment_id": "canary-7q' + b"x" * 256 * 1024 + b'"}}'
TOO_DEEP = b'{"assessment": {"stream_only": {"ilf": ' + b'{"canary-7q": ' * 5000 + b"1" + b"}" * 5003
LINES = [*(HERE / "bad_lines.jsonl").read_bytes().splitlines(), TOO_LONG, TOO_DEEP]

GOOD_LINES = {1: "good-01", 7: "good-02", 13: "good-03", 21: "good-04", 32: "good-05", 45: "good-06", 54: "good-07"}
BLANK = {3, 20}
EXPECTED = {
    2: ("broken JSON", "malformed_json", ""),
    4: ("not an object", "invalid_field", ""),
    5: ("a list", "invalid_field", ""),
    6: ("unknown field of the line", "unknown_field", "/colour"),
    8: ("unknown field of the form", "unknown_field", "/assessment/colour"),
    9: ("unknown field in a group", "unknown_field", "/assessment/person/colour"),
    10: ("unknown field in a list", "unknown_field", "/assessment/income/0/colour"),
    11: ("an unknown name that may be personal", "unknown_field", "/assessment/(a name that cannot be shown)"),
    12: ("an unknown need domain", "invalid_field", "/assessment/domain_levels"),
    14: ("level 5", "invalid_field", "/assessment/domain_levels/*"),
    15: ("level -1", "invalid_field", "/assessment/eating/eat_drink_help"),
    16: ("a level as text", "invalid_field", "/assessment/personal_care/wash"),
    17: ("a level with a fraction", "invalid_field", "/assessment/mobility/walk"),
    18: ("a date that does not exist", "invalid_field", "/assessment/effective_date"),
    19: ("a date in another order", "invalid_field", "/assessment/person/date_of_birth"),
    22: ("unknown council", "unknown_council", "/assessment/council"),
    23: ("unknown pack", "unknown_rule_pack", "/assessment/rule_pack"),
    24: ("a pack not in force", "pack_not_in_force", "/assessment/effective_date"),
    25: ("unknown stream in consent", "unknown_stream", "/assessment/person/consent_share"),
    26: ("unknown stream in stream_only", "unknown_stream", "/assessment/stream_only"),
    27: ("unknown stream in a notice", "unknown_stream", "/notices/0/stream"),
    28: ("a stream that is not asked", "stream_not_asked", "/notices/0/stream"),
    29: ("a change that states no amount", "notice_amount_missing", "/notices/0/weekly_pence"),
    30: ("two notices with one reference", "notice_conflict", "/notices/1/reference"),
    31: ("an unknown decision", "invalid_field", "/notices/0/decision"),
    33: ("negative money", "invalid_field", "/assessment/income/0/weekly_pence"),
    34: ("money over a million pounds", "invalid_field", "/assessment/income/0/weekly_pence"),
    35: ("money of fifty digits", "invalid_field", "/assessment/capital/person_pence"),
    36: ("money in pounds and pence", "invalid_field", "/assessment/dre/0/weekly_pence"),
    37: ("money as text", "invalid_field", "/notices/0/weekly_pence"),
    38: ("money that is not a number", "malformed_json", ""),
    39: ("text over its length", "invalid_field", "/assessment/person/address"),
    40: ("a list over its length", "invalid_field", "/assessment/carers"),
    41: ("an id with a space", "invalid_field", "/assessment/assessment_id"),
    42: ("a required field left out", "missing_field", "/assessment/person/date_of_birth"),
    43: ("no assessment", "missing_field", "/assessment"),
    44: ("no rule pack", "missing_field", "/assessment/rule_pack"),
    46: ("an NHS number with a wrong check digit", "invalid_field", "/assessment/person/nhs_number"),
    47: ("born after the effective date", "invalid_field", "/assessment/person/date_of_birth"),
    48: ("a wrong fact for one stream", "invalid_field", "/assessment/stream_only/ilf/care_hours_weekly"),
    49: ("an unknown fact for one stream", "invalid_field", "/assessment/stream_only/chc"),
    50: ("one id with other content", "assessment_conflict", "/assessment/assessment_id"),
    51: ("bytes that are not UTF-8", "malformed_json", ""),
    52: ("a byte order mark in the middle", "malformed_json", ""),
    53: ("half a surrogate pair", "malformed_json", ""),
    55: ("a line over its length", "body_too_large", ""),
    56: ("nested too deep", "malformed_json", ""),
}
BAD = {number: (code, field) for number, (_, code, field) in EXPECTED.items()}


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder the database's own user may enter, which pytest's are not when the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix="tributary-bad-lines-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def first(place: Path) -> Run:
    return run(place, "first")


@pytest.fixture(scope="module")
def again(first: Run, place: Path) -> Run:
    """The same file a second time, on the database the first run left."""
    return run(place, "again")


def run(place: Path, name: str) -> Run:
    return allocate(b"\n".join(LINES), "--quiet", "--data", str(place / "data"), "--errors", str(place / name))


def test_the_table_below_speaks_of_every_line() -> None:
    assert sorted([*BAD, *GOOD_LINES, *BLANK]) == list(range(1, len(LINES) + 1))
    unplanted = [n for n in BAD if CANARY not in LINES[n - 1].replace(b"canary 7q", CANARY)]
    assert unplanted == []
    assert all(GOOD in LINES[n - 1] and CANARY not in LINES[n - 1] for n in GOOD_LINES)


@pytest.mark.parametrize("number", EXPECTED, ids=[label for label, _, _ in EXPECTED.values()])
def test_each_fault_is_named_by_line_code_and_field(first: Run, place: Path, number: int) -> None:
    code, field = BAD[number]
    errors = {e["line"]: e for e in map(json.loads, (place / "first").read_bytes().splitlines())}
    assert (errors[number]["code"], errors[number]["field"]) == (code, field)
    where = f" at {field}" if field else ""
    assert f"tributary: line {number}: {code}{where}: {errors[number]['detail']}" in said(first)


def test_nothing_else_is_refused_and_the_exit_code_says_that_some_were(first: Run, place: Path) -> None:
    errors = [json.loads(line) for line in (place / "first").read_bytes().splitlines()]
    assert [e["line"] for e in errors] == sorted(BAD)
    assert all(sorted(e) == ["code", "detail", "field", "line"] and e["detail"] for e in errors)
    assert [line for line in said(first) if line.startswith("tributary: line")] == said(first)[-len(BAD) :]
    assert first.code == 1


def test_good_lines_still_become_budgets_in_their_order(first: Run) -> None:
    assert [b["assessment_id"] for b in first.budgets] == list(GOOD_LINES.values())
    assert all(b["complete"] for b in first.budgets)


def test_what_a_bad_line_said_is_repeated_nowhere(first: Run, place: Path) -> None:
    told = first.stdout + first.stderr + (place / "first").read_bytes()
    assert CANARY not in told
    assert b"canary" not in told.lower()
    assert b"9434765918" not in told
    assert b"7" * 50 not in told


def test_nothing_of_a_bad_line_is_stored(first: Run, place: Path) -> None:
    """Every file of the database, its write-ahead log included; good lines are found in it, so the search would see."""
    found = {GOOD: 0, CANARY: 0}
    for folder, _, names in os.walk(place / "data"):
        for name in names:
            content = (Path(folder) / name).read_bytes()
            found = {what: count + content.count(what) for what, count in found.items()}
    assert found[GOOD] >= len(GOOD_LINES)
    assert found[CANARY] == 0


def test_the_same_file_again_gives_the_same_budgets_and_the_same_faults(first: Run, again: Run, place: Path) -> None:
    """The lines that were kept are known again; the line that contradicts one of them is refused again."""
    assert again.code == 1
    assert again.stdout == first.stdout
    assert (place / "again").read_bytes() == (place / "first").read_bytes()


def said(done: Run) -> list[str]:
    return done.stderr.decode().splitlines()
