"""Types and their bounds in words a council engineer reads without knowing the code."""

import json
from typing import Any

from msgspec import NODEFAULT, inspect

PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$(?!\n)": (
        "up to 64 letters, digits and `.` `_` `:` `-`; a letter or digit first"
    ),
    r"^[a-z][a-z0-9_-]{0,39}$(?!\n)": "a name: up to 40 small letters, digits, `_` and `-`; a letter first",
    r"^[0-9]{10}$(?!\n)": "10 digits, no spaces",
    r"^[A-Z]{2}[0-9]{6}[A-D]$(?!\n)": "two capitals, six digits, then A, B, C or D",
    r"^[0-9]{1,12}$(?!\n)": "1 to 12 digits",
}
"""Every pattern of the form. One that is not here is a KeyError: say it in words."""

LEVELS = (0, 4)


def in_words(kind: Any, name: str = "") -> str:
    """`name` tells money: `..._pence` is pence."""
    match kind:
        case inspect.UnionType(types):
            return " or ".join(in_words(t, name) for t in types if not isinstance(t, inspect.NoneType))
        case inspect.BoolType():
            return "true or false"
        case inspect.DateType():
            return "date, YYYY-MM-DD"
        case inspect.LiteralType(values):
            return "one of " + ", ".join(f"`{value}`" for value in values)
        case inspect.StrType():
            return _text(kind)
        case inspect.IntType() | inspect.FloatType():
            return _number(kind, name)
        case inspect.StructType(cls):
            return linked(cls)
        case _:
            return _collection(kind, name)


def _collection(kind: Any, name: str) -> str:
    match kind:
        case inspect.ListType(item_type, _, most):
            return f"list of {in_words(item_type, name)}" + (f"; at most {most}" if most else "")
        case inspect.DictType(key_type, value_type):
            return f"object: {_key(key_type)} → {in_words(value_type, name)}"
        case inspect.AnyType():
            return "any value"
    raise TypeError(f"the form has a type that has no words yet: {kind}")


def _key(kind: Any) -> str:
    if isinstance(kind, inspect.LiteralType) and "D01" in kind.values:
        return "need domain (D01 to D11)"
    return in_words(kind)


def _text(kind: inspect.StrType) -> str:
    if kind.pattern:
        return PATTERNS[kind.pattern]
    if kind.max_length is None:
        return "text"
    least = "1 to" if kind.min_length else "up to"
    return f"text, {least} {kind.max_length:,} characters"


def _number(kind: inspect.IntType | inspect.FloatType, name: str) -> str:
    least, most = kind.ge, kind.le
    if isinstance(kind, inspect.IntType) and (least, most) == LEVELS:
        return "level, 0 to 4"
    if name.endswith("pence"):
        return "whole pence" if most is None else f"whole pence, up to {most:,} (£{most // 100:,})"
    noun = "whole number" if isinstance(kind, inspect.IntType) else "number"
    return noun if most is None else f"{noun}, {least:,} to {most:,}"


def linked(cls: type[Any]) -> str:
    return f"[{title(cls)}](#{title(cls).lower().replace(' ', '-')})"


def title(cls: type[Any]) -> str:
    """`CareActTests` -> `Care Act Tests`."""
    return "".join(f" {c}" if c.isupper() and i else c for i, c in enumerate(cls.__name__))


def said_when_left_out(field: inspect.Field) -> str:
    if field.required:
        return "**required**"
    value = field.default_factory() if field.default is NODEFAULT else field.default
    if value is None:
        return "not known"
    return "-" if value in ([], {}) or not isinstance(value, str | int | float) else f"`{json.dumps(value)}`"
