"""The generated files are what the code says today, valid by the standards' own checkers, and promises are kept."""

import copy
import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi import FastAPI
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from chassis.web import body_of, build_app
from contracts.facts import Notice
from contracts.lock import lock
from deploy.generate import asyncapi, compose, files, flows, form_guide, openapi, schemas
from deploy.generate.additive import breaks
from deploy.services import all_services
from tributary.case_lines import BadLine, CaseLine, Reader

ROOT = Path(__file__).parents[2]


def case_validator() -> Draft202012Validator:
    """Of a case line, with formats asserted."""
    schema = json.loads(schemas.case_line_schema())
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def test_nothing_is_stale() -> None:
    assert files.generate(check=True) == 0


def test_a_stale_and_an_orphan_file_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "ROOT", tmp_path)
    assert files.generate(check=False) == 0
    capsys.readouterr()
    (tmp_path / "docs/flows.md").write_text("by hand")
    (tmp_path / "contracts/openapi/gone.json").write_text("{}")
    assert files.generate(check=True) == 1
    assert capsys.readouterr().err.splitlines()[:2] == ["docs/flows.md: stale", "contracts/openapi/gone.json: stale"]
    assert files.generate(check=False) == 0
    assert not (tmp_path / "contracts/openapi/gone.json").exists()
    assert files.generate(check=True) == 0


@pytest.mark.parametrize("name", sorted(schemas.snapshots()))
def test_every_schema_is_a_2020_12_schema_under_its_own_id(name: str) -> None:
    schema = json.loads((ROOT / "contracts" / "snapshots" / f"{name}.json").read_text())
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert schema["$id"] == f"https://tributary.example/schemas/{name}.json"


EVENT: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "b": {"enum": ["x", "y"]}, "c": {"$ref": "#/$defs/C"}},
    "required": ["a"],
    "$defs": {"C": {"type": "object", "properties": {"d": {"type": "integer"}}}},
}


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        (lambda s: s["properties"].update(new={"type": "string"}), True),
        (lambda s: s["$defs"].update(D={"type": "object"}), True),
        (lambda s: s.update(description="said better"), True),
        (lambda s: s["properties"]["a"].update(title="A"), True),
        (lambda s: s["properties"].pop("b"), False),
        (lambda s: s["required"].append("b"), False),
        (lambda s: s["required"].clear(), False),
        (lambda s: s["properties"]["b"].update(enum=["x"]), False),
        (lambda s: s["properties"]["b"].update(enum=["x", "y", "z"]), False),
        (lambda s: s["properties"]["a"].update(format="date"), False),
        (lambda s: s["properties"]["a"].update(maxLength=5), False),
        (lambda s: s["$defs"]["C"]["properties"].update(d={"type": "number"}), False),
        (lambda s: s["$defs"].pop("C"), False),
        (lambda s: s.update(additionalProperties=False), False),
    ],
)
def test_only_an_optional_addition_keeps_a_version(change: Any, kept: bool) -> None:
    new = copy.deepcopy(EVENT)
    change(new)
    assert (not list(breaks(EVENT, new))) is kept


def test_a_closed_object_takes_no_addition() -> None:
    closed = {**EVENT, "additionalProperties": False}
    wider = {**closed, "properties": {**closed["properties"], "new": {}}}
    assert list(breaks(closed, wider)) == ["/properties/new: added to an object that was closed"]


def test_a_broken_promise_stops_generation(tmp_path: Path) -> None:
    event = schemas.events()[0]
    path = f"contracts/snapshots/{event.type}.json"
    released = schemas.event_schema(event)
    released["required"].append("since_removed")
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(json.dumps(released))
    (tmp_path / "contracts/snapshots/uk.tributary.gone.v1.json").write_text("{}")
    found = files.broken_promises({path: schemas.as_json(schemas.event_schema(event))}, tmp_path)
    assert found == [
        f"{path}/required: a field became required, or no longer is",
        "contracts/snapshots/uk.tributary.gone.v1.json: no class has this event any more",
    ]


@pytest.mark.parametrize("name", sorted(openapi.documents()))
def test_openapi_documents_are_valid(name: str) -> None:
    document = json.loads((ROOT / "contracts" / "openapi" / f"{name}.json").read_text())
    validate(document)
    assert document["openapi"].startswith("3.1")
    assert "x-components" not in json.dumps(document)
    assert document["components"]["schemas"]["Problem"]["required"] == ["type", "title", "status", "code"]


async def _ready() -> dict[str, bool]:
    return {}


def test_what_is_frozen_is_what_is_served() -> None:
    service = next(s for s in all_services() if s.name == "assessment")
    frozen = json.loads((ROOT / "contracts/openapi/assessment.json").read_text())
    assert service.router is not None
    app = build_app(service.title, [service.router(openapi._NOTHING)], _ready)
    for _ in range(2):
        assert TestClient(app).get("/openapi.json").json() == frozen


def test_two_bodies_of_one_name_are_refused() -> None:
    app: FastAPI = build_app("clash", [], _ready)
    other = body_of(Notice)
    other["x-components"] = {"Notice": {"type": "string"}}
    for path, extra in (("/a", body_of(Notice)), ("/b", other)):
        app.post(path, openapi_extra=extra)(_ready)
    with pytest.raises(ValueError, match="Notice"):
        app.openapi()


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
    readers = {r.name: r.facts for r in (*lock().streams, *lock().readers)}
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


def test_flows_name_every_event_and_every_handler() -> None:
    text = flows.text()
    for service in all_services():
        for event, _ in service.publishes:
            assert f"| **{event.__name__}** |" in text
        for subscription in service.handlers.subscriptions:
            place = flows.handler_place(subscription.handler)
            file, _, function = place.partition(":")
            module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
            assert f"`{place}`" in text
            assert f"def {function}(" in Path(str(module.__file__)).read_text()


def test_a_hop_that_is_gone_stops_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "HOPS", (("services/ras/handlers.py", "renamed_away", ""),))
    with pytest.raises(SystemExit, match="renamed_away"):
        flows.text()


def test_compose_has_one_container_and_one_password_for_every_service() -> None:
    made = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    names = {compose.container(s) for s in all_services()}
    assert set(made["services"]) == names | {"kafka", "postgres", "prepare"}
    assert set(made["secrets"]) == names | {"postgres"}
    handed = {s if isinstance(s, str) else s["target"] for s in made["services"]["prepare"]["secrets"]}
    assert handed == names | {"database_password"}
    ports = [made["services"][name]["ports"][0] for name in names]
    assert len(set(ports)) == len(names)
    for name in names:
        command = made["services"][name]["command"][0]
        assert compose.container(importlib.import_module(command).service) == name
        assert made["services"][name]["secrets"] == [{"source": name, "target": "database_password"}]
        assert made["services"][name]["environment"]["TRIBUTARY_HOST"] == "0.0.0.0"


def test_asyncapi_is_yaml_of_the_document() -> None:
    assert yaml.safe_load((ROOT / "contracts/asyncapi.yaml").read_text()) == json.loads(json.dumps(asyncapi.document()))
