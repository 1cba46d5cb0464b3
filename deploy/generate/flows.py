"""`docs/flows.md`: who tells what to whom, from the running values, and one assessment followed through the code."""

import ast
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from chassis.service import Service
from contracts.event import Event
from contracts.lock import lock
from deploy.services import all_services

ROOT = Path(__file__).parents[2]

HOPS = (
    ("services/assessment/api.py", "finalise_assessment", "`POST /assessments/{assessment_ref}/finalise` → 202"),
    ("services/assessment/commands.py", "finalise", "one transaction: the assessment is final, the copies are told"),
    ("services/assessment/domain/assessment.py", "finalised", "**AssessmentFinalised**, one copy per reader"),
    ("chassis/relay.py", "send_pending", "the copies on the log, in order per person"),
    ("chassis/consume.py", "process", "a batch in one transaction: inbox, handler, outbox"),
    ("streamkit/handlers.py", "decide", "load many, decide each, save many, publish many"),
    ("{stream}/rules.py", "decide", "**StreamDecided**, one per stream, with every reason"),
    ("services/ras/handlers.py", "combine", "every answer recorded, in whatever order it came"),
    (
        "services/ras/domain/budget.py",
        "answer",
        "**FactsSupplied** to whoever waits for them; **BudgetProposed**, one revision a change",
    ),
    ("services/ras/handlers.py", "pass_deadlines", "**StreamLate**, when a clock passes without the answer"),
    ("streamkit/handlers.py", "notify", "another body's notice → **StreamDecided**, one revision higher"),
    ("services/ras/api.py", "accept", "`POST /budgets/{budget_id}/accept` → **BudgetAccepted**"),
    ("services/payments/handlers.py", "record_accepted", "**AcceptedBudgetRecorded**"),
)
"""File, function, what it ends with. `{stream}` is every stream's folder."""


def text() -> str:
    services = all_services()
    parts = [_HEAD, _mermaid(services), _EVENTS, *_event_rows(services), _FOLLOW, *_hop_rows(), _STREAMS, *_streams()]
    return "\n".join(parts) + "\n"


_HEAD = """# Flows

Generated from the services' own values by `make generate`. Do not edit.

The jump between services is always "search for the event's class name": it has one publisher (every stream answers
with the same `StreamDecided`), and its consumers carry it in a decorator.
"""

_EVENTS = """
## Events

| event | told by | handled by | topic |
|---|---|---|---|"""

_FOLLOW = """
## Following one assessment

| hop | where | function | ends with |
|---|---|---|---|"""

_STREAMS = """
## Streams

| stream | folder | decided by | answers within | waits for |
|---|---|---|---|---|"""


def handler_place(handler: Callable[..., Any]) -> str:
    """`file:function` of a handler, from the root of the repository."""
    return f"{handler.__module__.replace('.', '/')}.py:{handler.__qualname__.rpartition('.')[2]}"


def _publishers(services: Iterable[Service]) -> dict[type[Event], list[Service]]:
    found: dict[type[Event], list[Service]] = {}
    for service in services:
        for event, _ in service.publishes:
            found.setdefault(event, []).append(service)
    return found


def _readers(services: Iterable[Service], event: type[Event]) -> dict[str, list[str]]:
    """Place of the handler -> names of the services that run it."""
    found: dict[str, list[str]] = {}
    for service in services:
        for subscription in service.handlers.subscriptions:
            if event in subscription.events:
                found.setdefault(handler_place(subscription.handler), []).append(service.name)
    return found


def _event_rows(services: list[Service]) -> Iterator[str]:
    for event, publishers in _publishers(services).items():
        readers = _readers(services, event)
        handled = "<br>".join(f"`{place}` ({_named(names)})" for place, names in readers.items())
        topic = event.topic("*") if event.addressed else event.topic()
        told = _named([s.name for s in publishers])
        yield f"| **{event.__name__}** | {told} | {handled or 'whoever subscribes'} | `{topic}` |"


def _named(names: list[str]) -> str:
    streams = [s.name for s in lock().streams]
    others = [f"`{name}`" for name in names if name not in streams]
    mine = [name for name in names if name in streams]
    if mine == streams:
        return ", ".join(["every stream", *others])
    return ", ".join([f"`{name}`" for name in mine] + others)


def _mermaid(services: list[Service]) -> str:
    """Every stream is a node; what goes to all of them, or comes from all, is drawn once at their frame."""
    streams = [s.name for s in lock().streams]
    plain = [s for s in services if s.name not in streams]
    lines = ["```mermaid", "flowchart LR", *(f'  {s.name}["{s.title}"]' for s in plain)]
    lines += ['  subgraph streams["Funding streams"]']
    lines += [f'    {s.name}["{s.title}"]' for s in services if s.name in streams]
    lines += ["  end", *dict.fromkeys(_edges(services, streams)), "```"]
    return "\n".join(lines)


def _edges(services: list[Service], streams: list[str]) -> Iterator[str]:
    for event, publishers in _publishers(services).items():
        readers = [name for names in _readers(services, event).values() for name in names]
        for source in _drawn([s.name for s in publishers], streams):
            for target in _drawn(readers, streams):
                yield f"  {source} -->|{event.__name__}| {target}"
            if not readers:
                yield f"  {source} -->|{event.__name__}| log([whoever subscribes])"


def _drawn(names: list[str], streams: list[str]) -> list[str]:
    """The frame instead of every stream, where all are meant."""
    if set(streams) <= set(names):
        return ["streams", *(name for name in names if name not in streams)]
    return names


def _hop_rows() -> Iterator[str]:
    for number, (file, function, ends) in enumerate(HOPS, 1):
        for path in _files(file):
            _must_define(path, function)
        shown = file.format(stream="<each stream's folder>") if "{stream}" in file else file
        yield f"| {number} | `{shown}` | `{function}` | {ends} |"


def _files(file: str) -> list[Path]:
    folders = [s.module.replace(".", "/") for s in lock().streams] if "{stream}" in file else [""]
    return [ROOT / file.format(stream=folder) for folder in folders]


def _must_define(path: Path, function: str) -> None:
    """A hop that is no longer there must not stay in the map."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    if not any(isinstance(node, kinds) and node.name == function for node in ast.walk(ast.parse(path.read_text()))):
        raise SystemExit(f"deploy/generate/flows.py: {path.relative_to(ROOT)} has no function {function} any more")


def _streams() -> Iterator[str]:
    for s in lock().streams:
        needs = ", ".join(f"`{need}`" for need in s.needs) or "-"
        folder = s.module.replace(".", "/")
        yield f"| `{s.name}` | `{folder}` | {s.decision_maker} | {s.clock_days} days | {needs} |"
