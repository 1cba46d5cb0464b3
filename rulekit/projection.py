"""Which fields of the aligned assessment a reader's `Facts` asks for, and that one name means one thing.

A reader gets these fields and no others. Raises ValueError where `Facts` asks for something the form does not hold,
holds as something else, or keeps to itself: what tells who somebody is, and free text.
"""

import types
import typing
from typing import Any

import msgspec

from contracts.facts import AlignedAssessment
from contracts.facts.bounds import Label, Text
from contracts.facts.derived import DERIVED

NEVER = frozenset(
    {
        "person_id", "date_of_birth", "nhs_number", "ni_number", "address", "uprn", "communication_needs", "language",
        "consent_share", "ordinary_residence_la", "preferred_format",
    }
)  # fmt: skip
FREE_TEXT = (Text, Label)

Spec = bool | dict[str, Any]
"""True: the whole value. A dict: these fields of a group; under `*`, of every element of a list or mapping."""


def projection(facts: type[Any]) -> dict[str, Spec]:
    """Field -> Spec. `own` is left out: it is the reader's alone."""
    form = typing.get_type_hints(AlignedAssessment, include_extras=True) | DERIVED
    asked = typing.get_type_hints(facts, include_extras=True)
    return {name: _spec(f"{facts.__module__}: {name}", asked[name], form.get(name)) for name in asked if name != "own"}


def own_facts(facts: type[Any]) -> Any:
    """The type of `stream_only.<stream>`, or None where the stream keeps nothing to itself."""
    return typing.get_type_hints(facts, include_extras=True).get("own")


def _spec(where: str, asked: Any, form: Any) -> Spec:
    if form is None:
        raise ValueError(f"{where} is not on the form")
    asked, form = _bare(asked), _bare(form)
    if asked == form:
        _refuse_private(where, form)
        return True
    if _is_group(asked) and _is_group(form):
        return _fields(where, asked, form)
    origin, args = typing.get_origin(asked), typing.get_args(asked)
    form_args = typing.get_args(form)
    if origin in (list, dict) and origin is typing.get_origin(form):
        if origin is dict and _bare(args[0]) != _bare(form_args[0]):
            raise ValueError(f"{where} has other keys on the form")
        inner = _spec(where, args[-1], form_args[-1])
        return True if inner is True else {"*": inner}
    if _members(asked) == _members(form):
        _refuse_private(where, form)
        return True
    raise ValueError(f"{where} means something else on the form: {asked} is not {form}")


def _fields(where: str, asked: type[Any], form: type[Any]) -> dict[str, Spec]:
    have = typing.get_type_hints(form, include_extras=True)
    want = typing.get_type_hints(asked, include_extras=True)
    if private := NEVER & set(want):
        raise ValueError(f"{where} asks for {sorted(private)}, which no reader may have")
    return {name: _spec(f"{where}.{name}", kind, have.get(name)) for name, kind in sorted(want.items())}


def _refuse_private(where: str, kind: Any) -> None:
    """A value taken whole must hold no free text and nothing that tells who somebody is."""
    if kind in FREE_TEXT:
        raise ValueError(f"{where} is free text, which no reader may have")
    if _is_group(kind):
        for name, inner in typing.get_type_hints(kind, include_extras=True).items():
            if name in NEVER:
                raise ValueError(f"{where}.{name}: no reader may have it")
            _refuse_private(f"{where}.{name}", inner)
    for inner in typing.get_args(kind) if typing.get_origin(kind) is not typing.Literal else ():
        if inner is not None and not isinstance(inner, msgspec.Meta):
            _refuse_private(where, inner)


def _is_group(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _bare(kind: Any) -> Any:
    """Without the outer bounds, unless they mark free text: a reader need not repeat how long a list may be."""
    if kind in FREE_TEXT or typing.get_origin(kind) is not typing.Annotated:
        return kind
    return _bare(typing.get_args(kind)[0])


def _members(kind: Any) -> Any:
    """The type with every bound removed and alternatives in no order."""
    kind = _bare(kind)
    if typing.get_origin(kind) is typing.Literal:
        return ("one of", frozenset(typing.get_args(kind)))
    args = typing.get_args(kind)
    origin = "or" if typing.get_origin(kind) in (typing.Union, types.UnionType) else typing.get_origin(kind)
    return (origin, frozenset(_members(a) for a in args)) if args else kind
