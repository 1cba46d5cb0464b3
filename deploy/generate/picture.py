"""`docs/flow.svg`: the picture at the top of README.md. Opaque, so that it reads the same on a light and a dark page;
plain shapes and the reader's own fonts."""

from collections.abc import Iterator
from html import escape

from contracts.lock import lock

WIDTH, TOP, ROW, GAP = 900, 104, 44, 10
"""Pixels."""
INK, SOFT, PAPER, LOG, BOX, STREAM, MONEY = "#1d2b36", "#4d5f6d", "#ffffff", "#dfe7ee", "#f3f6f8", "#fff5d9", "#ddf0e3"


def text() -> str:
    names = [s.title.split(":")[0] for s in lock().streams]
    height = TOP + len(names) * (ROW + GAP) - GAP + 74
    middle = TOP + (len(names) * (ROW + GAP) - GAP) // 2
    parts = [*_frame(height), *_left(middle), *_streams(names, middle), *_right(middle), *_foot(height), "</svg>"]
    return "\n".join(parts) + "\n"


def _frame(height: int) -> Iterator[str]:
    says = "One assessment goes out on Kafka to every funding stream; their answers become one budget, which is paid"
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' role="img" aria-label="{says}" font-family="Arial, Helvetica, sans-serif">'
    )
    yield (
        '<defs><marker id="to" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7"'
        f' orient="auto-start-reverse"><path d="M0 0 10 5 0 10z" fill="{SOFT}"/></marker></defs>'
    )
    yield f'<rect width="{WIDTH}" height="{height}" rx="14" fill="{PAPER}" stroke="#c9d3db"/>'
    yield _words(WIDTH // 2, 40, "Assessed once. Decided by each stream. One budget.", size=22, bold=True)


def _left(middle: int) -> Iterator[str]:
    yield from _box(24, middle - 46, 124, 92, ["Aligned", "assessment", "asked once"], BOX)
    yield _arrow(148, middle, 182, middle)
    yield from _log(184, middle, ["AssessmentFinalised", "one copy per reader, only its facts"])


def _streams(names: list[str], middle: int) -> Iterator[str]:
    yield _words(383, TOP - 18, "funding streams, each with its own rules", size=13, colour=SOFT)
    for i, name in enumerate(names):
        y = TOP + i * (ROW + GAP) + ROW // 2
        yield _arrow(230, _spread(i, len(names), middle), 266, y)
        yield from _box(268, y - ROW // 2, 230, ROW, [name], STREAM)
        yield _arrow(498, y, 534, _spread(i, len(names), middle))
    yield from _log(536, middle, ["StreamDecided", "amounts, reasons, rules"])


def _spread(i: int, count: int, middle: int) -> int:
    """Where along a log an arrow meets it."""
    return middle + round((i - (count - 1) / 2) * 34)


def _right(middle: int) -> Iterator[str]:
    yield _arrow(582, middle, 612, middle)
    yield from _box(614, middle - 46, 112, 92, ["Resource", "allocation", "ras: combines"], BOX)
    yield _arrow(726, middle - 20, 756, middle - 54)
    yield from _box(758, middle - 104, 118, 80, ["Individual", "Budget", "every £ traced"], MONEY)
    yield _arrow(817, middle - 24, 817, middle + 22)
    yield _words(825, middle + 3, "accepted", size=12, colour=SOFT, anchor="start")
    yield from _box(758, middle + 24, 118, 80, ["Payments", "", "record it"], BOX)


def _foot(height: int) -> Iterator[str]:
    yield f'<rect x="24" y="{height - 52}" width="14" height="28" rx="5" fill="{LOG}" stroke="{SOFT}"/>'
    says = "a topic on Apache Kafka, or on the embedded log in PostgreSQL: the same events, in order for each person"
    yield _words(48, height - 33, says, size=13, colour=SOFT, anchor="start")


def _log(x: int, middle: int, lines: list[str]) -> Iterator[str]:
    """A topic: a standing bar with its event written along it."""
    tall = 374
    yield f'<rect x="{x}" y="{middle - tall // 2}" width="46" height="{tall}" rx="14" fill="{LOG}" stroke="{SOFT}"/>'
    for i, line in enumerate(lines):
        turned = f' transform="rotate(-90 {x + 19 + 16 * i} {middle})"'
        yield _words(x + 19 + 16 * i, middle, line, size=13 if i == 0 else 12, bold=i == 0, more=turned)


def _box(x: int, y: int, wide: int, tall: int, lines: list[str], fill: str) -> Iterator[str]:
    """The first lines are what it is; with three, the last says what it does."""
    yield f'<rect x="{x}" y="{y}" width="{wide}" height="{tall}" rx="8" fill="{fill}" stroke="{SOFT}"/>'
    shown = [line for line in lines if line]
    start = y + tall / 2 - (len(shown) - 1) * 9.5 + 5
    for i, line in enumerate(shown):
        last = len(lines) == 3 and i == len(shown) - 1
        yield _words(
            x + wide / 2, start + i * 19, line, size=12 if last else 14, bold=not last, colour=SOFT if last else INK
        )


def _words(
    x: float,
    y: float,
    line: str,
    *,
    size: int,
    bold: bool = False,
    colour: str = INK,
    anchor: str = "middle",
    more: str = "",
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" text-anchor="{anchor}"{weight}{more}>'
        f"{escape(line)}</text>"
    )


def _arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f'<path d="M{x1:g} {y1:g} {x2:g} {y2:g}" stroke="{SOFT}" stroke-width="1.6" fill="none" marker-end="url(#to)"/>'
    )
