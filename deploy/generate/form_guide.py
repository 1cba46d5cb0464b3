"""`docs/assessment-form.md`: every field of the form and of a notice, in plain words, and who gets to read it."""

import json
from collections.abc import Iterator
from typing import Any

from msgspec import inspect

from contracts.facts import AlignedAssessment, Notice
from contracts.facts.derived import DERIVED
from contracts.lock import Reader, Registered, lock
from deploy.generate import examples
from deploy.generate.plain_words import in_words, linked, said_when_left_out, title
from deploy.generate.schemas import MAX_NOTICES, facts_of
from rulekit.projection import own_facts
from services.assessment.domain.assessment import DOMAIN_ANSWERS

Spec = Any
"""True: all of it. A dict: these fields; under `*`, of every element. None: nothing (see rulekit.projection)."""

EVERY_COPY, REFERENCE = "everybody", "everybody, as a reference that tells nothing"
INDIRECT = {
    ("", "assessment_id"): REFERENCE,
    ("", "version"): REFERENCE,
    ("", "council"): EVERY_COPY,
    ("", "rule_pack"): EVERY_COPY,
    ("", "effective_date"): EVERY_COPY,
    ("", "domain_levels"): "as `agreed_levels`",
    ("", "stream_only"): "each stream its own",
    ("person", "person_id"): REFERENCE,
    ("person", "date_of_birth"): "as `age`",
    ("person", "household"): "as `has_partner`, `has_dependent_child`",
    ("person", "consent_share"): "decides who is asked",
    ("nights", "council_night_care"): "as `council_buys_night_care`",
} | {
    (group, name): f"as the level of {domain}" for domain, answers in DOMAIN_ANSWERS.items() for group, name in answers
}
"""Answers that travel in another form. (field of the form, field of its group) -> what to say."""


def text() -> str:
    form, notice = inspect.multi_type_info([AlignedAssessment, Notice])
    assert isinstance(form, inspect.StructType)
    assert isinstance(notice, inspect.StructType)
    top = {reader.name: reader.facts for reader in _readers()}
    parts = [_head(), *_group(form, "", top, level=2), *_groups(form, top), _derived(), *_own(), *_notice(notice), _END]
    return "\n".join(parts) + "\n"


def _readers() -> tuple[Registered | Reader, ...]:
    return (*lock().streams, *lock().readers)


def _head() -> str:
    line = json.dumps({"assessment": examples.MINIMAL})
    whole = json.dumps({"assessment": examples.ASSESSMENT}, indent=2)
    return f"""# The assessment form

Generated from `contracts/facts/` and `contracts/streams.lock` by `make generate`. Do not edit.

One assessment, asked once, feeds every stream. A **case line** is one JSON object on one line of a UTF-8 file:

| field | what it is |
|---|---|
| `assessment` | required: {linked(AlignedAssessment)} |
| `notices` | what other bodies have decided since, in order: list of {linked(Notice)}; at most {MAX_NOTICES} |

The least a line may say (`council` may be left out: `tributary allocate --council` names it for all lines):

```json
{line}
```

A fuller assessment, spread over lines here so that it can be read:

```json
{whole}
```

More: `tests/golden/cases.jsonl` holds complete lines, one a case. `tributary schema` prints the JSON Schema of a line,
so that an editor or an export job can check it first. A field the form does not have is refused, by line and name.

Amounts are whole pence, weekly unless the name says otherwise. Levels are 0 no help; 1 occasional help or prompting;
2 some help most weeks; 3 help every day; 4 several times a day, two people, or cannot be left. Need domains are D01
eating, D02 personal care, D03 moving about, D04 home, D05 relationships, D06 work and learning, D07 community, D08
caring roles, D09 decisions, D10 safety, D11 nights.

**Read by** says who gets the field in their own copy of the assessment: streams, and `ras`, the allocation service. `-`
is nobody: it stays in the assessment service, as does all that says who somebody is, and all free text.
"""


_END = """
## What a good line may still be refused for

These are checked beyond the schema: the council and the rule pack exist, the pack is in force on `effective_date`, the
NHS number's check digit fits, the date of birth is before the effective date, streams named anywhere exist, and a
notice comes from a stream that is asked. A refusal names the line, a stable code and the field, never the content."""


def _group(found: inspect.StructType, at: str, specs: dict[str, Spec], level: int) -> Iterator[str]:
    yield f"{'#' * level} {title(found.cls)}\n"
    if about := " ".join((found.cls.__doc__ or "").split()):
        yield f"{about}\n"
    yield "| field | what goes in it | left out means | read by |"
    yield "|---|---|---|---|"
    for field in found.fields:
        words = _OWN_WORDS if field.name == "stream_only" else in_words(field.type, field.name)
        who = INDIRECT.get((at, field.name)) or _who(field, specs)
        yield f"| `{field.name}` | {words} | {said_when_left_out(field)} | {who} |"
    yield ""


_OWN_WORDS = "object: stream → [what only it may see](#for-one-streams-eyes)"


def _who(field: inspect.Field, specs: dict[str, Spec]) -> str:
    """Names of the readers; those of parts only where the parts have a table of their own."""
    mine = {reader: spec[field.name] for reader, spec in specs.items() if isinstance(spec, dict) and field.name in spec}
    mine |= {reader: True for reader, spec in specs.items() if spec is True}
    whole = [reader for reader, spec in mine.items() if spec is True]
    parts = [reader for reader, spec in mine.items() if spec is not True]
    return ", ".join([*whole, *(f"{reader} (parts)" for reader in parts)]) or "-"


def _groups(found: inspect.StructType, specs: dict[str, Spec], seen: set[type[Any]] | None = None) -> Iterator[str]:
    """Tables of every group the form is made of, in the form's order, each after the one that first names it."""
    seen = set() if seen is None else seen
    for field in found.fields:
        for inner in _structs(field.type):
            if inner.cls not in seen:
                seen.add(inner.cls)
                below = _below(field.name, specs)
                yield from _group(inner, field.name, below, level=3)
                yield from _groups(inner, below, seen)


def _structs(kind: Any) -> Iterator[inspect.StructType]:
    if isinstance(kind, inspect.StructType):
        yield kind
    for inner in (getattr(kind, "item_type", None), getattr(kind, "value_type", None)):
        if inner is not None:
            yield from _structs(inner)
    for inner in getattr(kind, "types", ()):
        yield from _structs(inner)


def _below(name: str, specs: dict[str, Spec]) -> dict[str, Spec]:
    """What each reader gets of one field's parts."""
    found: dict[str, Spec] = {}
    for reader, spec in specs.items():
        inner = spec if spec is True else spec.get(name) if isinstance(spec, dict) else None
        found[reader] = inner["*"] if isinstance(inner, dict) and "*" in inner else inner
    return found


def _derived() -> str:
    """Facts worked out by the assessment service, with who gets them."""
    rows = [
        f"| `{name}` | {', '.join(r.name for r in _readers() if name in r.facts) or '-'} |" for name in sorted(DERIVED)
    ]
    head = """## Worked out from the form

So that a date of birth or a detailed answer need not travel, the assessment service works these out:
`age` and `age_when_applied` are whole years on the effective date and on `adaptation.applied_on`; `agreed_levels` is
the level of each need domain, given or the highest of its answers; `council_buys_night_care` follows from D11 and the
carers unless `nights.council_night_care` says; the other two from `person.household`.

| fact | read by |
|---|---|"""
    return "\n".join([head, *rows, ""])


def _own() -> Iterator[str]:
    """`stream_only`, a table a stream."""
    yield "## For one stream's eyes\n"
    yield "Under `stream_only`, by the stream's name. Nobody else gets to see it.\n"
    for stream in lock().streams:
        own = own_facts(facts_of(stream))
        if own is None:
            continue
        found = inspect.type_info(own)
        assert isinstance(found, inspect.StructType)
        yield f"### `stream_only.{stream.name}`: {stream.title}\n"
        yield from list(_group(found, "stream_only", {stream.name: True}, level=3))[1:]
        yield from _groups(found, {stream.name: True})


def _notice(found: inspect.StructType) -> Iterator[str]:
    yield f"## {title(Notice)}\n"
    yield f"{' '.join((Notice.__doc__ or '').split())} It goes to the stream it names, which answers again.\n"
    yield "| field | what goes in it | left out means |"
    yield "|---|---|---|"
    for field in found.fields:
        words = in_words(field.type, field.name)
        if field.name == "stream":
            words = "one of " + ", ".join(f"`{s.name}`" for s in lock().streams)
        yield f"| `{field.name}` | {words} | {said_when_left_out(field)} |"
    yield "\n```json"
    yield json.dumps({"stream": _other_body(), **examples.NOTICE})
    yield "```"


def _other_body() -> str:
    """A stream that another body decides."""
    return next(s.name for s in lock().streams if not s.gateway)
