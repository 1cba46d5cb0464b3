"""Every event's schema, class, examples and place in the AsyncAPI document agree. AsyncAPI's own parser looks neither
into 2020-12 schemas nor at examples, so that is done here."""

import json
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import yaml
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from referencing import Registry, Resource

from contracts.event import Envelope, Event, derived_id
from contracts.lock import Reader, Registered, lock
from deploy.generate import asyncapi, examples, schemas
from deploy.services import all_services

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / "contracts"
EVENTS = schemas.events()
DOCUMENT: dict[str, Any] = yaml.safe_load((CONTRACTS / "asyncapi.yaml").read_text())


def _retrieve(uri: str) -> Resource[Any]:
    """A `./snapshots/…` reference of the document, which stands beside it."""
    return Resource.from_contents(json.loads((CONTRACTS / uri).read_text()))


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """Formats asserted: left to itself the library takes "yesterday" for a date."""
    registry: Registry[Any] = Registry(retrieve=_retrieve)  # type: ignore[call-arg]
    return Draft202012Validator(schema, registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER)


def snapshot(name: str) -> dict[str, Any]:
    return cast(dict[str, Any], json.loads((CONTRACTS / "snapshots" / f"{name}.json").read_text()))


def stored(event: type[Event], kind: str) -> list[Path]:
    return sorted((CONTRACTS / "examples" / event.type).glob(f"{kind}-*.json"))


def ids(event: type[Event]) -> str:
    return event.__name__


def test_formats_are_asserted() -> None:
    for form, bad in (("date", "yesterday"), ("uuid", "1234"), ("date-time", "2007-06-04 9:30")):
        assert not validator({"type": "string", "format": form}).is_valid(bad)


@pytest.mark.parametrize("event", EVENTS, ids=ids)
def test_valid_examples_fit_schema_and_class(event: type[Event]) -> None:
    assert stored(event, "valid")
    for path in stored(event, "valid"):
        validator(snapshot(event.type)).validate(json.loads(path.read_bytes()))
        decoded = event.decode(path.read_bytes())
        assert event.decode(msgspec.json.encode(decoded)) == decoded
        assert decoded.identity()


@pytest.mark.parametrize("event", EVENTS, ids=ids)
def test_invalid_examples_are_refused_by_schema_and_class(event: type[Event]) -> None:
    assert stored(event, "invalid")
    for path in stored(event, "invalid"):
        assert not validator(snapshot(event.type)).is_valid(json.loads(path.read_bytes())), path.name
        with pytest.raises(msgspec.ValidationError):
            event.decode(path.read_bytes())


@pytest.mark.parametrize("event", EVENTS, ids=ids)
def test_every_required_field_is_required_by_schema_and_class(event: type[Event]) -> None:
    """Left out, or of a type that is not its own."""
    schema, good = snapshot(event.type), json.loads(stored(event, "valid")[0].read_bytes())
    faults = list(examples.invalid(schema, good))
    assert len(faults) >= len(schema["required"])
    for what, bad in faults:
        assert not validator(schema).is_valid(bad), what
        with pytest.raises(msgspec.ValidationError):
            event.decode(json.dumps(bad).encode())


@pytest.mark.parametrize("event", EVENTS, ids=ids)
def test_a_field_from_the_future_is_ignored(event: type[Event]) -> None:
    good = json.loads(stored(event, "valid")[0].read_bytes())
    newer = {**good, "added_in_a_later_release": {"anything": [1]}}
    validator(snapshot(event.type)).validate(newer)
    assert event.decode(json.dumps(newer).encode()) == event.decode(json.dumps(good).encode())


@pytest.mark.parametrize("audience", lock().audiences())
def test_each_readers_copy_fits_the_readers_own_schema(audience: str) -> None:
    both: tuple[Registered | Reader, ...] = (*lock().streams, *lock().readers)
    reader = next(r for r in both if r.name == audience)
    event = next(e for e in EVENTS if any(f.type is msgspec.Raw for f in msgspec.structs.fields(e)))
    facts = json.loads((CONTRACTS / "examples" / event.type / f"valid-{audience}.json").read_text())["facts"]
    validator(snapshot(f"facts/{audience}")).validate(facts)
    assert msgspec.convert(facts, schemas.facts_of(reader))


@pytest.mark.parametrize("event", EVENTS, ids=ids)
def test_headers_are_cloudevents_and_as_documented(event: type[Event]) -> None:
    told = event.decode(stored(event, "valid")[0].read_bytes())
    envelope = Envelope(
        id=derived_id(examples.ROOT_ID, event.type, *told.identity()),
        type=event.type,
        source="/tributary/test",
        subject=told.person_ref,
        time=examples.AT,
        correlation_id=examples.ROOT_ID,
        causation_id=examples.ROOT_ID,
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )
    headers = envelope.headers()
    documented = DOCUMENT["components"]["schemas"]["CloudEventHeaders"]
    assert {name for name, _ in headers} == set(documented["properties"])
    validator(documented).validate({name: value.decode() for name, value in headers})
    assert Envelope.parse(dict(headers)) == envelope
    by_sdk = from_binary(KafkaMessage(dict(headers), None, msgspec.json.encode(told)), JSONFormat())
    assert by_sdk.get_id() == str(envelope.id)
    assert by_sdk.get_type() == event.type
    assert by_sdk.get_dataschema() == snapshot(event.type)["$id"]
    assert by_sdk.get_time() == envelope.time


def test_every_event_is_told_by_a_service_and_every_event_told_is_a_contract() -> None:
    assert {e for s in all_services() for e, _ in s.publishes} == set(EVENTS)


def test_every_event_handled_is_told_to_that_reader() -> None:
    written = {topic for s in all_services() for topic in s.topics_written()}
    assert {topic for s in all_services() for topic in s.handlers.topics()} <= written


def test_channels_are_the_topics_and_the_reverse() -> None:
    topics = {topic for s in all_services() for topic in s.topics()}
    assert {c["address"] for c in DOCUMENT["channels"].values()} == topics
    assert {c["bindings"]["kafka"]["topic"] for c in DOCUMENT["channels"].values()} == topics


def test_messages_are_the_events_and_the_reverse() -> None:
    used = {ref["$ref"] for c in DOCUMENT["channels"].values() for ref in c["messages"].values()}
    assert used == {f"#/components/messages/{name}" for name in DOCUMENT["components"]["messages"]}
    assert {m["name"] for m in DOCUMENT["components"]["messages"].values()} == {e.type for e in EVENTS}
    for message in DOCUMENT["components"]["messages"].values():
        assert message["payload"]["schemaFormat"] == "application/schema+json;version=draft-2020-12"
        assert message["bindings"]["kafka"]["key"]["format"] == "uuid"


def test_operations_are_what_services_do_and_the_reverse() -> None:
    done = set()
    for service in all_services():
        done |= {(service.name, "send", topic) for topic in service.topics_written()}
        done |= {(service.name, "receive", topic) for topic in service.handlers.topics()}
    said = {
        (o["tags"][0]["name"], o["action"], o["channel"]["$ref"].removeprefix("#/channels/"))
        for o in DOCUMENT["operations"].values()
    }
    assert said == done


@pytest.mark.parametrize("name", sorted(DOCUMENT["components"]["messages"]))
def test_examples_in_the_document_fit_their_payload_and_headers(name: str) -> None:
    message = DOCUMENT["components"]["messages"][name]
    payload, headers = validator(message["payload"]["schema"]), DOCUMENT["components"]["schemas"]["CloudEventHeaders"]
    assert message["examples"]
    for example in message["examples"]:
        payload.validate(example["payload"])
        validator(headers).validate(example["headers"])
        validator(message["headers"]["allOf"][1]).validate(example["headers"])
        if "." in name:
            assert not payload.is_valid({**example["payload"], "audience": "somebody_else"})


def test_a_copys_facts_must_fit_the_reader() -> None:
    event = next(e for e in EVENTS if any(f.type is msgspec.Raw for f in msgspec.structs.fields(e)))
    audience = lock().readers[0].name
    message = DOCUMENT["components"]["messages"][asyncapi.message_name(event, audience)]
    bad = {**message["examples"][0]["payload"], "facts": {"age": "old"}}
    assert not validator(message["payload"]["schema"]).is_valid(bad)


def test_nothing_in_an_example_tells_who() -> None:
    """The identifiers of the example's person are in no event."""
    secrets = [examples.ASSESSMENT["person"][name] for name in ("person_id", "date_of_birth")]
    found = [p.name for p in (CONTRACTS / "examples").rglob("*.json") if any(s in p.read_text() for s in secrets)]
    assert found == []
