"""W3C trace context, carried by our own code: in from HTTP, through outbox rows and record headers, to log lines.

A span is an event: its id is the event id's last eight bytes, its parent the event named by `causation_id`. So the
outbox is the trace, and nothing has to be exported for it to be read. See docs/adr/0009-traces-without-an-agent.md.
"""

import re
from contextvars import ContextVar
from uuid import UUID

HEADER = "traceparent"
_VALID = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")

current: ContextVar[str] = ContextVar("traceparent", default="")
"""What the HTTP request being answered belongs to; '' outside one."""

_sampled = {"below": int(0.01 * 2**56)}


def set_up(*, sample: float) -> None:
    """`sample`: the share, 0 to 1, of traces started here whose events each get a log line."""
    _sampled["below"] = int(sample * 2**56)


def parse(given: str) -> str:
    """A traceparent somebody sent, as version 00; '' when it is malformed. A version to come may be longer."""
    found = _VALID.fullmatch(given) if len(given) <= 512 else None
    if found is None or (found[1] == "00" and found[5]):
        return ""
    return f"00-{found[2]}-{found[3]}-{int(found[4], 16) & 1:02x}"


def start(root: UUID) -> str:
    """A trace of its own for what came without one. The same root gives the same trace and the same choice whether
    it is sampled, so that a retry and another service say the same."""
    trace_id = root.hex if root.int else f"{1:032x}"
    return f"00-{trace_id}-{_span(root)}-{int(root.int % 2**56 < _sampled['below']):02x}"


def child(parent: str, event_id: UUID, root: UUID) -> str:
    """The traceparent of an event: `parent`'s trace, or the request's, or one started from `root`."""
    known = parse(parent) or current.get() or start(root)
    return f"{known[:36]}{_span(event_id)}{known[52:]}"


def is_sampled(traceparent: str) -> bool:
    return traceparent[-1:] == "1" and parse(traceparent) == traceparent


def _span(of: UUID) -> str:
    return of.bytes[8:].hex() if of.bytes[8:].strip(b"\0") else f"{1:016x}"
