"""`contracts/asyncapi.yaml` (AsyncAPI 3.0.0) from the services' own values: what each publishes and what each handles.

Schemas are JSON Schema 2020-12, which AsyncAPI's own parser does not look into: tests/contracts does that.
"""

import json
from collections.abc import Iterable
from typing import Any

import msgspec
import yaml

from chassis.service import Service
from chassis.settings import Settings
from contracts.event import Event
from deploy.generate import examples
from deploy.generate.flows import handler_place
from deploy.services import all_services

FORMAT = "application/schema+json;version=draft-2020-12"
FORMATS = {"ce_id": "uuid", "ce_subject": "uuid", "ce_partitionkey": "uuid", "ce_correlationid": "uuid"} | {
    "ce_causationid": "uuid",
    "ce_time": "date-time",
    "ce_dataschema": "uri",
    "ce_source": "uri-reference",
}
OPTIONAL = {
    "ce_causationid": "The id of the event that led to this one; absent at the root.",
    "traceparent": "W3C trace context, where the run is traced.",
}


def text() -> str:
    head = "# Generated from the services' own values by `make generate`. Do not edit.\n"
    return head + str(yaml.dump(document(), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=110))


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def document() -> dict[str, Any]:
    services = all_services()
    channels: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    told = list(examples.story())
    for service in services:
        for event, audiences in service.publishes:
            for audience in audiences():
                channels[event.topic(audience)] = _channel(event, audience)
                messages[message_name(event, audience)] = _message(event, audience, service, told)
    return {
        "asyncapi": "3.0.0",
        "info": _INFO,
        "defaultContentType": "application/json",
        "servers": {"kafka": {"host": "kafka:9092", "protocol": "kafka", "description": "As in docker-compose.yml."}},
        "channels": dict(sorted(channels.items())),
        "operations": _operations(services),
        "components": {
            "messages": dict(sorted(messages.items())),
            "schemas": {"CloudEventHeaders": _headers_schema(told[0][1])},
            "correlationIds": {
                "correlation": {
                    "description": "The same for everything that follows from one assessment.",
                    "location": "$message.header#/ce_correlationid",
                }
            },
        },
    }


_INFO = {
    "title": "Tributary",
    "version": "1.0.0",
    "description": "Past-tense facts between the assessment service, the funding streams, the allocation service and"
    " payments. CloudEvents 1.0 in binary mode: the value is exactly the payload, the attributes are `ce_` headers."
    " Delivery is at least once, and in order for one person; consumers ignore fields they do not know.",
    "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
}


def message_name(event: type[Event], audience: str) -> str:
    return f"{event.__name__}.{audience}" if audience else event.__name__


def _channel(event: type[Event], audience: str) -> dict[str, Any]:
    name = message_name(event, audience)
    for_whom = f", in the copy that only {audience} may read" if audience else ""
    return {
        "address": event.topic(audience),
        "description": f"{event.__name__}{for_whom}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "bindings": {
            "kafka": {
                "topic": event.topic(audience),
                "partitions": Settings.model_fields["kafka_partitions"].default,
                "replicas": Settings.model_fields["kafka_replication"].default,
                "bindingVersion": "0.5.0",
            }
        },
    }


def _message(event: type[Event], audience: str, service: Service, told: Iterable[tuple[str, Event]]) -> dict[str, Any]:
    example = next(
        (e for _, e in told if type(e) is event and getattr(e, "audience", "") == audience),
        None,
    )
    about = {"examples": [_example(example, service)]} if example else {}
    fixed = {"ce_type": {"const": event.type}, "ce_dataschema": {"const": event.dataschema()}}
    return {
        "name": event.type,
        "title": event.__name__,
        "summary": " ".join((event.__doc__ or "").split("\n\n")[0].split()),
        "contentType": "application/json",
        "headers": {"allOf": [{"$ref": "#/components/schemas/CloudEventHeaders"}, {"properties": fixed}]},
        "correlationId": {"$ref": "#/components/correlationIds/correlation"},
        "payload": {"schemaFormat": FORMAT, "schema": payload_schema(event, audience)},
        "bindings": {"kafka": {"key": _KEY, "bindingVersion": "0.5.0"}},
        **about,
    }


_KEY = {"type": "string", "format": "uuid", "description": "person_ref: all about one person stays in order"}


def payload_schema(event: type[Event], audience: str) -> dict[str, Any]:
    """The event's snapshot; in a reader's own copy also who that is, and the reader's own schema of the facts."""
    whole = {"$ref": f"./snapshots/{event.type}.json"}
    if not audience:
        return whole
    mine: dict[str, Any] = {"audience": {"const": audience}}
    if any(f.name == "facts" and f.type is msgspec.Raw for f in msgspec.structs.fields(event)):
        mine["facts"] = {"$ref": f"./snapshots/facts/{audience}.json"}
    return {"allOf": [whole, {"properties": mine}]}


def _example(event: Event, service: Service) -> dict[str, Any]:
    payload = json.loads(msgspec.json.encode(event))
    return {"name": "one-assessment", "headers": examples.headers(event, service.name), "payload": payload}


def _headers_schema(event: Event) -> dict[str, Any]:
    """Of every message. Names come from the envelope itself."""
    always = examples.headers(event, "x")
    properties: dict[str, Any] = {name: {"type": "string"} for name in always}
    properties["ce_specversion"] = {"const": always["ce_specversion"]}
    properties["content-type"] = {"const": always["content-type"]}
    properties |= {name: {"type": "string", "description": what} for name, what in OPTIONAL.items()}
    for name, form in FORMATS.items():
        properties[name]["format"] = form
    return {"type": "object", "properties": properties, "required": list(always)}


def _operations(services: Iterable[Service]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for service in services:
        for subscription in service.handlers.subscriptions:
            for event in subscription.events:
                audience = subscription.audience if event.addressed else ""
                operation = _operation("receive", service, event, audience)
                operation["bindings"] = {"kafka": {"groupId": {"const": service.name}, "bindingVersion": "0.5.0"}}
                operation["x-handler"] = handler_place(subscription.handler)
                found[f"{service.name}.receive.{message_name(event, audience)}"] = operation
        for event, audiences in service.publishes:
            for audience in audiences():
                found[f"{service.name}.send.{message_name(event, audience)}"] = _operation(
                    "send", service, event, audience
                )
    return found


def _operation(action: str, service: Service, event: type[Event], audience: str) -> dict[str, Any]:
    channel = f"#/channels/{event.topic(audience)}"
    verb = "reads" if action == "receive" else "tells"
    return {
        "action": action,
        "summary": f"{service.title} ({service.name}) {verb} {event.__name__}.",
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{message_name(event, audience)}"}],
        "tags": [{"name": service.name}],
    }
