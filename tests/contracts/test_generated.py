"""The generated files are what the code says today, valid by the standards' own checkers, and promises are kept."""

import copy
import importlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi import FastAPI
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openapi_spec_validator import validate

from chassis.operations import routers_of
from chassis.web import body_of, build_app
from contracts.facts import Notice
from deploy.access import OPERATOR, TOPIC_ADMIN, principal_of
from deploy.generate import asyncapi, files, flows, openapi, schemas
from deploy.generate.additive import breaks
from deploy.services import all_services

ROOT = Path(__file__).parents[2]


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


async def test_what_is_frozen_is_what_is_served() -> None:
    service = next(s for s in all_services() if s.name == "assessment")
    frozen = json.loads((ROOT / "contracts/openapi/assessment.json").read_text())
    app = build_app(service.title, routers_of(service, openapi._NOTHING), _ready, described=True)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        for _ in range(2):
            assert (await client.get("/openapi.json")).json() == frozen


def test_two_bodies_of_one_name_are_refused() -> None:
    app: FastAPI = build_app("clash", [], _ready)
    other = body_of(Notice)
    other["x-components"] = {"Notice": {"type": "string"}}
    for path, extra in (("/a", body_of(Notice)), ("/b", other)):
        app.post(path, openapi_extra=extra)(_ready)
    with pytest.raises(ValueError, match="Notice"):
        app.openapi()


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


def test_compose_has_one_container_and_its_own_passwords_for_every_service() -> None:
    made = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    names = {principal_of(s) for s in all_services()}
    on_broker = {f"kafka-{name}" for name in [*names, TOPIC_ADMIN, OPERATOR]}
    assert set(made["services"]) == names | {"kafka", "kafka-format", "postgres", "prepare"}
    servers = {"postgres", "pepper", "kafka-admin", "kafka-controller"}
    assert set(made["secrets"]) == names | on_broker | servers
    handed = {s if isinstance(s, str) else s["target"] for s in made["services"]["prepare"]["secrets"]}
    assert handed == names | on_broker | {"database_password", "kafka_password"}
    ports = [made["services"][name]["ports"][0] for name in names]
    assert len(set(ports)) == len(names)
    for name in names:
        command = made["services"][name]["command"][0]
        assert principal_of(importlib.import_module(command).service) == name
        pepper = ["pepper"] if name == "assessment" else []  # one service makes pseudonyms
        mine = [
            {"source": name, "target": "database_password"},
            {"source": f"kafka-{name}", "target": "kafka_password"},
        ]
        assert made["services"][name]["secrets"] == [*mine, *pepper]
        assert made["services"][name]["environment"]["TRIBUTARY_HOST"] == "0.0.0.0"
        assert made["services"][name]["environment"]["TRIBUTARY_KAFKA_USER"] == name


def test_asyncapi_is_yaml_of_the_document() -> None:
    assert yaml.safe_load(asyncapi.text()) == json.loads(json.dumps(asyncapi.document()))
