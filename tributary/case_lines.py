"""`CASES.jsonl`, line by line: parsed and checked before anything is stored. A fault names line and field, never
content."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID

import msgspec

from chassis.parse import convert, parse
from contracts.facts import AlignedAssessment, Notice
from contracts.lock import lock
from contracts.refusal import FieldFault, Refusal
from services.assessment.commands import conflict
from services.assessment.domain import assessment as domain
from services.assessment.domain.checks import check, check_notice

MAX_LINE_BYTES = 256 * 1024


class CaseLine(msgspec.Struct, forbid_unknown_fields=True):
    """One line of the file."""

    assessment: msgspec.Raw
    notices: Annotated[list[Notice], msgspec.Meta(max_length=100)] = []


@dataclass(frozen=True, slots=True)
class Case:
    """A good line. `number` counts from 1."""

    number: int
    ref: UUID
    assessment: AlignedAssessment
    notices: list[Notice]


@dataclass(frozen=True, slots=True)
class BadLine:
    number: int
    refusal: Refusal

    def as_dict(self) -> dict[str, Any]:
        """For machines: line, code, field and what to do."""
        faults = self.refusal.faults or [FieldFault("", self.refusal.code, self.refusal.detail)]
        first = faults[0]
        return {
            "line": self.number,
            "code": self.refusal.code,
            "field": first.pointer,
            "detail": first.detail,
        }

    def __str__(self) -> str:
        found = self.as_dict()
        where = f" at {found['field']}" if found["field"] else ""
        return f"line {found['line']}: {found['code']}{where}: {found['detail']}"


@dataclass
class Reader:
    """Reads lines and remembers which ids it has seen with which content."""

    council: str
    seen: dict[UUID, bytes] = field(default_factory=dict)

    def read(self, lines: Iterable[bytes]) -> Iterator[Case | BadLine]:
        """Blank lines are passed over; every other gives a case or its fault, in order."""
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield self._case(number, line)
            except Refusal as refusal:
                yield BadLine(number, refusal)

    def _case(self, number: int, line: bytes) -> Case:
        if len(line) > MAX_LINE_BYTES:
            raise Refusal("body_too_large", f"A line may be {MAX_LINE_BYTES // 1024} KiB at most.")
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        parsed = parse(line.strip(), CaseLine)
        assessment = _within("/assessment", self._assessment, parsed.assessment)
        _within("/assessment", check, assessment, lock())
        asked, _ = domain.roll_call(assessment, lock())
        references: set[tuple[str, str]] = set()
        for i, notice in enumerate(parsed.notices):
            check_notice(notice, asked, lock(), f"/notices/{i}")
            _refuse_repeat(notice, i, references)
        return Case(number, self._first(assessment, parsed.notices), assessment, parsed.notices)

    def _assessment(self, raw: msgspec.Raw) -> AlignedAssessment:
        value = parse(bytes(raw), dict[str, Any])
        return convert({"council": self.council} | value, AlignedAssessment)

    def _first(self, assessment: AlignedAssessment, notices: list[Notice]) -> UUID:
        ref = domain.assessment_ref(assessment)
        told = msgspec.json.encode(notices, order="sorted")
        content = hashlib.sha256(domain.content_hash(assessment) + told).digest()
        if self.seen.setdefault(ref, content) != content:
            raise prefixed(conflict(), "/assessment")
        return ref


def _refuse_repeat(notice: Notice, index: int, references: set[tuple[str, str]]) -> None:
    if (notice.stream, notice.reference) in references:
        detail = "Two notices of one stream carry the same reference. Each needs its own."
        raise Refusal("notice_conflict", detail, [FieldFault(f"/notices/{index}/reference", "notice_conflict", detail)])
    references.add((notice.stream, notice.reference))


def _within(pointer: str, work: Any, *values: Any) -> Any:
    try:
        return work(*values)
    except Refusal as refusal:
        raise prefixed(refusal, pointer) from None


def prefixed(refusal: Refusal, pointer: str) -> Refusal:
    """The same refusal of a part of the line, its fields named from the top of the line."""
    faults = [FieldFault(pointer + f.pointer, f.code, f.detail) for f in refusal.faults]
    return Refusal(refusal.code, refusal.detail, faults)
