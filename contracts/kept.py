"""An attribute that is stored as JSON: decoded when first looked at, encoded once, and known to have changed or not."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

import msgspec

T = TypeVar("T")


@dataclass(slots=True)
class _Held(Generic[T]):
    value: T | None
    json: bytes | None
    changed: bool


class Kept(Generic[T]):
    """`asked: Kept[Question] = Kept(Question)` in a dataclass: None, a value, or the bytes it was stored as."""

    def __init__(self, kind: type[T]) -> None:
        self._decode = msgspec.json.Decoder(kind).decode

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._slot = f"_kept_{name}"

    @overload
    def __get__(self, case: None, owner: type[Any]) -> None: ...
    @overload
    def __get__(self, case: object, owner: type[Any]) -> T | None: ...
    def __get__(self, case: object | None, owner: type[Any]) -> T | None:
        if case is None:
            return None  # the default
        held: _Held[T] | None = case.__dict__[self._slot]
        if held is None:
            return None
        if held.value is None and held.json is not None:
            held.value = self._decode(held.json)
        return held.value

    def __set__(self, case: object, value: T | bytes | None) -> None:
        """Bytes are what was stored; anything else is new."""
        if value is None:
            case.__dict__[self._slot] = None
        elif isinstance(value, bytes):
            case.__dict__[self._slot] = _Held(None, value, changed=False)
        else:
            case.__dict__[self._slot] = _Held(value, None, changed=True)


def keep(case: object, name: str, value: object, json: bytes | None = None) -> None:
    """Set a new value, with its JSON where that is at hand."""
    case.__dict__[f"_kept_{name}"] = _Held(value, json, changed=True)


def json_of(case: object, name: str) -> bytes | None:
    """As it is to be stored."""
    held: _Held[Any] | None = case.__dict__[f"_kept_{name}"]
    if held is None:
        return None
    if held.json is None:
        held.json = msgspec.json.encode(held.value)
    return held.json


def change_of(case: object, name: str) -> bytes | None:
    """What to store, or None where what is stored still holds."""
    held: _Held[Any] | None = case.__dict__[f"_kept_{name}"]
    return json_of(case, name) if held is not None and held.changed else None
