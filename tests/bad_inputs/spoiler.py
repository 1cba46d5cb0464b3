"""Makes bad documents of good ones, from a seed: each wrong in one way, and marked, so that an echo is seen.

Every document made here must be refused. A way of spoiling that could leave a good one by chance is not among them.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

Json = Any
Path = tuple[str | int, ...]
Way = Callable[[Json, str], bytes]
MARK = "ZQ"
"""Starts every mark. In capitals, because an unknown name that could be a slip of the form's own is shown again."""
FREE_TEXT = frozenset({
    "address", "basis", "communication_needs", "contact", "differing_views", "emergency_plan", "event", "item",
    "language", "measure", "ordinary_residence_la", "person_id", "preferred_format", "reason", "relation",
    "risk_to_person", "text", "uprn", "wellbeing_impact", "workplace", "ni_number",
})  # fmt: skip
"""Fields that may hold any text."""
BAD_DATES = ("0001-01-01", "9999-12-31", "10000-01-01", "2007-02-30", "2007-6-4", "04/06/2007", "2007-06-04T00:00:00")
BAD_NUMBERS = (
    "-1",
    "1e400",
    "-1e400",
    "NaN",
    "Infinity",
    "1" + "0" * 30,
    "9" * 400,
    "7" * 5000,
    "1.5e3000",
    "0x10",
    "01",
)
BAD_TEXTS = (b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\\ud800", b"\\udc00\\ud800", b"\x00", b"\n", b"\\x41", b"\\")


@dataclass
class Spoiler:
    """`required` are paths whose absence is refused. Counts what it did, by name of the way."""

    seed: int
    good: Json
    required: tuple[Path, ...]
    dates: tuple[Path, ...] = ()
    done: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.text = encoded(self.good)
        self.nodes = list(nodes(self.good))
        self.leaves = [(p, v) for p, v in self.nodes if p and not isinstance(v, dict | list)]
        ways: list[Way] = [
            self.wrong_type, self.wrong_type, self.out_of_bounds, self.unknown_field, self.missing, self.repeated,
            self.wrong_text, self.encoding, self.truncated, self.unbalanced, self.nested, self.endless, self.bad_date,
        ]  # fmt: skip

        self.ways = [way for way in ways if self.fits(way)]

    def spoil(self, n: int) -> tuple[bytes, str]:
        """A bad document and the mark in it."""
        mark = f"{MARK}{n:05d}x{self.random.randrange(16**6):06x}"
        way = self.random.choice(self.ways)
        self.done[way.__name__] = self.done.get(way.__name__, 0) + 1
        return way(msgspec.json.decode(self.text), mark), mark

    def fits(self, way: Way) -> bool:
        """Whether the document has what this way spoils."""
        inside = [v for _, v in self.leaves]
        if way in (self.wrong_text, self.encoding, self.endless):
            return any(isinstance(v, str) for v in inside)
        if way == self.out_of_bounds:
            return bool(self.numbers())
        return way != self.bad_date or bool(self.dates)

    def numbers(self) -> list[Path]:
        return [p for p, v in self.leaves if isinstance(v, int | float) and not isinstance(v, bool)]

    def wrong_type(self, made: Json, mark: str) -> bytes:
        """An object or a list where something else belongs; a text where none may be."""
        path, old = self.random.choice(self.leaves)
        wrong: list[Json] = [{mark: mark}, [mark], [[{mark: [mark]}]]]
        if not isinstance(old, str):
            wrong += [mark, mark * 50, ""]
        put(made, path, self.random.choice(wrong))
        return encoded(made)

    def out_of_bounds(self, made: Json, mark: str) -> bytes:
        put(made, self.random.choice(self.numbers()), f"{mark}#")
        return encoded(made).replace(f'"{mark}#"'.encode(), self.random.choice(BAD_NUMBERS).encode())

    def unknown_field(self, made: Json, mark: str) -> bytes:
        objects = [p for p, v in self.nodes if isinstance(v, dict)]
        at(made, self.random.choice(objects))[f"{mark}"] = self.random.choice([mark, {mark: mark}, [mark]])
        return encoded(made)

    def missing(self, made: Json, mark: str) -> bytes:
        path = self.random.choice(self.required)
        del at(made, path[:-1])[path[-1]]
        return encoded(made)

    def repeated(self, made: Json, mark: str) -> bytes:
        """A name given twice in one object, the second time as the first or otherwise."""
        objects = [p for p, v in self.nodes if isinstance(v, dict) and v]
        found = at(made, self.random.choice(objects))
        name = self.random.choice(list(found))
        found[mark] = found[name]
        return encoded(made).replace(f'"{mark}"'.encode(), json.dumps(name).encode(), 1)

    def wrong_text(self, made: Json, mark: str) -> bytes:
        """A word that is not among those allowed, or a name that is not formed as names are."""
        texts = [p for p, v in self.leaves if isinstance(v, str) and p[-1] not in FREE_TEXT]
        wrong = [
            f"{mark} {mark}",
            f"{mark}\n",
            f"\u0000{mark}",
            f"{mark}\u202e",
            f"'; DROP TABLE {mark};--",
            f"../{mark}",
        ]
        put(made, self.random.choice(texts), self.random.choice(wrong))
        return encoded(made)

    def encoding(self, made: Json, mark: str) -> bytes:
        """Not UTF-8, or not the text JSON allows."""
        texts = [p for p, v in self.leaves if isinstance(v, str)]
        put(made, self.random.choice(texts), mark)
        body = encoded(made)
        if self.random.random() < 0.2:
            return body.decode().encode(self.random.choice(["utf-16", "utf-32", "utf-16-le"]))
        return body.replace(mark.encode(), mark.encode() + self.random.choice(BAD_TEXTS), 1)

    def truncated(self, made: Json, mark: str) -> bytes:
        body = encoded(made)
        return body[: self.random.randrange(len(body))]

    def unbalanced(self, made: Json, mark: str) -> bytes:
        """One of the signs that hold it together is gone, doubled or another."""
        body = bytearray(encoded(made))
        where = self.random.choice([i for i, byte in enumerate(body) if byte in b'{}[]":'])
        body[where : where + 1] = self.random.choice([b"", b"\x00", b"(", mark.encode(), b"\xff"])
        return bytes(body)

    def nested(self, made: Json, mark: str) -> bytes:
        path, _ = self.random.choice(self.leaves)
        put(made, path, f"{mark}#")
        deep = self.random.choice([3, 60, 900, 1100, 20_000])
        opened, closed = self.random.choice([(b"[", b"]"), (f'{{"{mark}":'.encode(), b"}")])
        return encoded(made).replace(f'"{mark}#"'.encode(), opened * deep + b"1" + closed * deep)

    def endless(self, made: Json, mark: str) -> bytes:
        """Longer than any text or list may be."""
        path, old = self.random.choice([(p, v) for p, v in self.nodes if isinstance(v, str | list)])
        put(made, path, mark * 400 if isinstance(old, str) else [mark] * 2000)
        return encoded(made)

    def bad_date(self, made: Json, mark: str) -> bytes:
        put(made, self.random.choice(self.dates), self.random.choice(BAD_DATES))
        return encoded(made)


def encoded(made: Json) -> bytes:
    return json.dumps(made).encode()


def nodes(value: Json, path: Path = ()) -> Iterator[tuple[Path, Json]]:
    """Everything within, itself first."""
    yield path, value
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield from nodes(one, (*path, key))


def at(value: Json, path: Path) -> Json:
    for key in path:
        value = value[key]
    return value


def put(value: Json, path: Path, new: Json) -> None:
    at(value, path[:-1])[path[-1]] = new
