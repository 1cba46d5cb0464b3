"""The case line: its schema, its guide and the command that reads it say the same."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from contracts.lock import Reader as LockedReader
from contracts.lock import Registered, lock
from deploy.generate import form_guide, schemas
from tributary.case_lines import BadLine, CaseLine, Reader

ROOT = Path(__file__).parents[2]


def case_validator() -> Draft202012Validator:
    """Of a case line, with formats asserted."""
    schema = json.loads(schemas.case_line_schema())
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


GUIDE = (ROOT / "docs" / "assessment-form.md").read_text()


def test_the_guide_names_every_field_of_the_form() -> None:
    for name, schema in schemas.case_line()["$defs"].items():
        for field in schema.get("properties", {}):
            assert f"| `{field}` |" in GUIDE, f"{name}.{field}"


def test_the_guides_lines_are_good_lines() -> None:
    examples = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", GUIDE, re.S)]
    lines = [e for e in examples if "assessment" in e]
    notices = [e for e in examples if "decision" in e]
    assert (len(lines), len(notices)) == (2, 1)
    lines[1]["notices"] = notices
    for line in lines:
        case_validator().validate(line)
        found = list(Reader("council-a").read([json.dumps(line).encode()]))
        assert [f for f in found if isinstance(f, BadLine)] == []


def test_who_reads_a_field_is_what_the_lock_says() -> None:
    table = GUIDE.split("## Aligned Assessment")[1].split("\n## ")[0].split("\n### ")[0]
    said = {row.split("|")[1].strip(" `"): row.split("|")[4] for row in table.splitlines() if row.startswith("| `")}
    both: tuple[Registered | LockedReader, ...] = (*lock().streams, *lock().readers)
    readers = {r.name: r.facts for r in both}
    for field in (f for f in said if ("", f) not in form_guide.INDIRECT):
        named = {n.split(" ")[0] for n in said[field].strip().split(", ")} - {"-"}
        assert named == {name for name, facts in readers.items() if field in facts}, field


def golden_lines() -> list[bytes]:
    path = ROOT / "tests" / "golden" / "cases.jsonl"
    return [line for line in path.read_bytes().splitlines() if line.strip()]


def test_golden_lines_fit_the_schema_of_a_line() -> None:
    assert golden_lines()
    for line in golden_lines():
        case_validator().validate(json.loads(line))


def _spoilt(line: dict[str, Any], *path: Any, value: Any) -> bytes:
    spoilt = copy.deepcopy(line)
    inner = spoilt
    for part in path[:-1]:
        inner = inner.setdefault(part, {})
    inner[path[-1]] = value
    return json.dumps(spoilt).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("assessment", "person", "date_of_birth"), "yesterday"),
        (("assessment", "effective_date"), "2007-02-30"),
        (("assessment", "domain_levels"), {"D12": 1}),
        (("assessment", "domain_levels"), {"D01": 5}),
        (("assessment", "nobody_asked"), True),
        (("assessment", "stream_only"), {"no_such_stream": {}}),
        (("assessment", "person", "consent_share"), {"no_such_stream": {"status": "given"}}),
        (("assessment", "capital"), {"person_pence": 12.5}),
        (("notices",), [{"stream": "no_such_stream", "decision": "refused", "reference": "r"}]),
        (("more",), 1),
    ],
)
def test_the_schema_of_a_line_and_the_command_refuse_the_same(path: tuple[str, ...], value: Any) -> None:
    line = _spoilt(json.loads(golden_lines()[0]), *path, value=value)
    assert not case_validator().is_valid(json.loads(line))
    assert [type(found) for found in Reader("council-a").read([line])] == [BadLine]


def test_each_streams_own_facts_are_in_the_schema_of_a_line() -> None:
    own = schemas.case_line()["$defs"]["AlignedAssessment"]["properties"]["stream_only"]
    keepers = [s for s in lock().streams if s.own_schema is not None]
    assert set(own["properties"]) == {s.name for s in keepers}
    line = json.loads(golden_lines()[0])
    for stream in keepers:
        kind = schemas.facts_of(stream).__annotations__["own"]
        good = {field: _of(schema) for field, schema in schemas.document("x", kind)["properties"].items()}
        assert case_validator().is_valid(
            json.loads(_spoilt(line, "assessment", "stream_only", value={stream.name: good}))
        )
        bad = {stream.name: {**good, "not_a_question": 1}}
        assert not case_validator().is_valid(json.loads(_spoilt(line, "assessment", "stream_only", value=bad)))


def _of(schema: dict[str, Any]) -> Any:
    return schema["default"]


def test_a_line_takes_as_many_notices_as_the_schema_says() -> None:
    kept = schemas.case_line()["properties"]["notices"]
    assert kept["maxItems"] == schemas.embedded(CaseLine)["$defs"]["CaseLine"]["properties"]["notices"]["maxItems"]
