"""A reader takes what it knows and ignores the rest: an assessment service deployed a day earlier may send more.

The form's own groups refuse unknown answers, because there a field nobody knows is a mistake. The same groups inside an
event must not, or one new field would park every person at every reader that is a day behind.
"""

import types
import typing
from functools import cache
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def tolerant(facts: type[T]) -> type[T]:
    """`facts` with every group open to fields it does not know; the same fields, bounds and defaults."""
    return typing.cast("type[T]", _open(facts))


def _open(kind: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _open_struct(kind)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return typing.Annotated[(_open(args[0]), *args[1:])]
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(_open(a) for a in args)]  # noqa: UP007 - built from a tuple
    if origin in (list, dict, tuple):
        return origin[tuple(_open(a) for a in args)]
    return kind


@cache
def _open_struct(kind: type[msgspec.Struct]) -> type[msgspec.Struct]:
    hints = typing.get_type_hints(kind, include_extras=True)
    fields: list[Any] = [
        (f.name, _open(hints[f.name])) if f.required else (f.name, _open(hints[f.name]), _default(f))
        for f in msgspec.structs.fields(kind)
    ]
    return msgspec.defstruct(kind.__name__, fields, frozen=True, kw_only=True, module=kind.__module__)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.field(default_factory=field.default_factory)
    return field.default
