"""Parse at the edge: bytes in, a typed value out, or a coded refusal that names the field and never its content."""

import json
import re
from typing import Any, TypeVar

import msgspec

from contracts.refusal import FieldFault, Refusal

T = TypeVar("T")

_PATH = re.compile(r" - at `(?P<path>[^`]*)`$")
_KEY_PATH = re.compile(r" - at `key` in `(?P<path>[^`]*)`$")
_SAFE_NAME = re.compile(r"[a-z][a-z_]{0,39}[0-9]{0,3}")
_NAMED = re.compile(r"(?P<what>missing required|unknown) field `(?P<name>[^`]*)`")


def parse(body: bytes, kind: type[T]) -> T:
    """Decode and validate JSON. Raises Refusal: malformed_json, unknown_field, missing_field or invalid_field."""
    try:
        value = msgspec.json.decode(body, type=kind)
        _refuse_repeated_names(body)
        return value
    except msgspec.ValidationError as fault:
        raise _refusal(str(fault)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal("malformed_json", "This is not valid JSON. Send one JSON object in UTF-8.") from None


class _RepeatedName(Exception):
    pass


def _refuse_repeated_names(body: bytes) -> None:
    """JSON allows one name twice and decoders keep the last: here that would silently drop an answer."""
    try:
        # numbers are left as they are: one of thousands of digits is more than Python converts
        json.loads(body, object_pairs_hook=_distinct, parse_int=str, parse_float=str)
    except _RepeatedName:
        raise Refusal("malformed_json", "A field is given twice in one object. Give it once.") from None


def _distinct(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise _RepeatedName


def convert(value: Any, kind: type[T]) -> T:
    """The same for a value that is decoded already."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as fault:
        raise _refusal(str(fault)) from None


def _refusal(message: str) -> Refusal:
    key = _KEY_PATH.search(message)
    found = key or _PATH.search(message)
    pointer = to_pointer(found["path"] if found else "$")
    text = message[: found.start()] if found else message
    named = _NAMED.search(text)
    if named:
        return _named_field(pointer, named["what"], named["name"])
    detail = "One of the names here is not allowed." if key else _expected(text)
    return Refusal("invalid_field", detail, [FieldFault(pointer, "invalid_field", detail)])


def _named_field(pointer: str, what: str, name: str) -> Refusal:
    shown = name if _SAFE_NAME.fullmatch(name) else "(a name that cannot be shown)"
    if what == "unknown":
        code, detail = "unknown_field", "This field is not part of the form. Remove it or check its spelling."
    else:
        code, detail = "missing_field", "This field is required."
    return Refusal(code, detail, [FieldFault(f"{pointer}/{shown}", code, detail)])


def _expected(text: str) -> str:
    """What was expected, from the decoder's own words, which repeat a value only after 'Invalid enum value'."""
    if "got `float`" in text and "`int" in text:
        return "Expected a whole number; money is in whole pence."
    if text.startswith("Expected `object`"):
        return "Expected an object in braces. In a file of lines each line is one whole JSON object."
    if "matching regex" in text:
        return "This text does not have the form allowed here: see the schema."
    if text.startswith("Expected"):
        return text.replace("`", "").replace(" | null", " or null").replace("str", "text") + "."
    if "date" in text.lower():
        return "Expected a date that exists, as YYYY-MM-DD."
    return "This is not one of the values allowed here."


def to_pointer(path: str) -> str:
    """`$.income[2].type` -> `/income/2/type` (RFC 6901). A key that was sent is never shown."""
    parts = re.findall(r"\.([A-Za-z0-9_]+)|\[(\d+|\.\.\.)\]", path)
    return "".join(f"/{name or ('*' if index == '...' else index)}" for name, index in parts)
