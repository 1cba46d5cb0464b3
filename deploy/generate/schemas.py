"""JSON Schema 2020-12 of everything that crosses a border, from the types that decode it: one truth, two readers."""

import importlib
import json
import pkgutil
from typing import Any

import msgspec
from msgspec import inspect

import contracts
from contracts.event import EVENTS, Event
from contracts.facts import AlignedAssessment, Notice
from contracts.lock import Reader, Registered, lock

DIALECT = "https://json-schema.org/draft/2020-12/schema"
BASE = "https://tributary.example/schemas"
MAX_NOTICES = 100
"""Per case line, as `tributary.case_lines.CaseLine` has it (a test compares)."""

Schema = dict[str, Any]


def events() -> list[type[Event]]:
    """Every event of the contracts, by type."""
    for module in pkgutil.walk_packages(contracts.__path__, "contracts."):
        importlib.import_module(module.name)
    return [EVENTS[t] for t in sorted(EVENTS) if EVENTS[t].__module__.startswith("contracts.")]


def snapshots() -> dict[str, Schema]:
    """Name without `.json` -> schema, for `contracts/snapshots/`."""
    found = {event.type: event_schema(event) for event in events()}
    found["form"] = document("form", AlignedAssessment)
    _narrow_form(found["form"], found["form"]["$defs"])
    found["notice"] = document("notice", Notice)
    _narrow_notice(found["notice"])
    found["case-line"] = case_line()
    readers: tuple[Registered | Reader, ...] = (*lock().streams, *lock().readers)
    for reader in readers:
        found[f"facts/{reader.name}"] = document(f"facts/{reader.name}", facts_of(reader))
    return found


def event_schema(event: type[Event]) -> Schema:
    """`$id` is what the event's own `ce_dataschema` header says."""
    return document(event.type, event)


def facts_of(reader: Registered | Reader) -> type[Any]:
    """The class that a reader decodes its facts with."""
    kind: type[Any] = importlib.import_module(f"{reader.module}.facts").Facts
    return kind


def case_line_schema() -> str:
    """One line of CASES.jsonl, as JSON text."""
    return as_json(case_line())


def case_line() -> Schema:
    """`council` may be left out of a line: the command names it for all."""
    (form, notice), defs = _components(AlignedAssessment, Notice)
    whole = defs["AlignedAssessment"]
    _narrow_form(whole, defs)
    _narrow_notice(defs["Notice"])
    whole["required"] = [name for name in whole["required"] if name != "council"]
    return {
        "$schema": DIALECT,
        "$id": f"{BASE}/case-line.json",
        "title": "CaseLine",
        "description": "One line of CASES.jsonl: an assessment, and what other bodies have decided since.",
        "type": "object",
        "properties": {
            "assessment": form,
            "notices": {"type": "array", "items": notice, "maxItems": MAX_NOTICES, "default": []},
        },
        "required": ["assessment"],
        "additionalProperties": False,
        "$defs": defs,
    }


def document(name: str, kind: type[Any]) -> Schema:
    """A whole schema document of one type."""
    (root,), defs = _components(kind)
    whole = defs.pop(root["$ref"].rpartition("/")[2])
    parts = {"$defs": defs} if defs else {}
    return {"$schema": DIALECT, "$id": f"{BASE}/{name}.json", **whole, **parts}


def embedded(kind: type[Any]) -> Schema:
    """A schema to be kept inside another document."""
    (root,), defs = _components(kind)
    return {**root, "$defs": defs}


def as_json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _components(*kinds: type[Any]) -> tuple[list[Schema], dict[str, Schema]]:
    """References and named parts, with what msgspec leaves out put in."""
    roots, defs = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    for found in inspect.multi_type_info(kinds):
        _name_keys(found, defs, set())
    for schema in defs.values():
        schema["description"] = " ".join(schema.get("description", "").split())
        if not schema["description"]:
            del schema["description"]
    return list(roots), dict(defs)


def _name_keys(found: Any, defs: dict[str, Schema], seen: set[type[Any]]) -> None:
    """A mapping keyed by fixed names says which; facts in a reader's own schema are an object."""
    if isinstance(found, inspect.StructType):
        if found.cls in seen:
            return
        seen.add(found.cls)
        properties = defs[found.cls.__name__]["properties"]
        for field in found.fields:
            if isinstance(field.type, inspect.DictType) and isinstance(field.type.key_type, inspect.LiteralType):
                properties[field.encode_name]["propertyNames"] = {"enum": list(field.type.key_type.values)}
            elif isinstance(field.type, inspect.RawType):
                properties[field.encode_name]["type"] = "object"
            _name_keys(field.type, defs, seen)
    for name in ("item_type", "value_type"):
        if inner := getattr(found, name, None):
            _name_keys(inner, defs, seen)
    for inner in (*getattr(found, "types", ()), *getattr(found, "item_types", ())):
        _name_keys(inner, defs, seen)


def _narrow_form(form: Schema, defs: dict[str, Schema]) -> None:
    """Name the streams there are, and give `stream_only` each stream's own schema."""
    own = {s.name: _adopted(s.name, s.own_schema, defs) for s in lock().streams if s.own_schema is not None}
    form["properties"]["stream_only"] = {
        "description": "What one stream alone may see, under that stream's name.",
        "type": "object",
        "properties": own,
        "additionalProperties": False,
        "default": {},
    }
    consent = defs["Person"]["properties"]["consent_share"]
    consent["propertyNames"] = {"enum": _stream_names()}


def _narrow_notice(notice: Schema) -> None:
    notice["properties"]["stream"] = {"enum": _stream_names()}


def _stream_names() -> list[str]:
    return [s.name for s in lock().streams]


def _adopted(stream: str, own: Schema, defs: dict[str, Schema]) -> Schema:
    """A stream's schema moved into another's `$defs`, under names of its own: two streams may both say `Own`."""
    moved: Schema = json.loads(json.dumps(own).replace('"#/$defs/', f'"#/$defs/{stream}.'))
    for name, schema in moved.pop("$defs", {}).items():
        if "description" in schema:
            schema["description"] = " ".join(schema["description"].split())
        defs[f"{stream}.{name}"] = schema
    return moved
