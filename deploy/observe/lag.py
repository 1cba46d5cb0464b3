"""How a consumer of a partition is doing, judged as Burrow does: by how offset and lag moved, with no threshold of
records that would have to be tuned. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

WINDOW = 10


class State(StrEnum):
    """Worst last."""

    OK = "ok"
    SLOW = "slow"
    REWOUND = "rewound"
    STALLED = "stalled"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Sample:
    """What a consumer said of one partition. `at`: seconds; `offset`: of the next record to commit; `lag`: records."""

    at: float
    offset: int
    lag: int


def judge(samples: Sequence[Sample], *, now: float) -> State:
    """The state that the last `WINDOW` samples show, oldest first; `now` in the same seconds.

    OK while there are too few of them: a consumer that has just begun is not accused.
    """
    window = samples[-WINDOW:]
    if len(window) < WINDOW:
        return State.OK
    if any(after.offset < before.offset for before, after in pairwise(window)):
        return State.REWOUND
    if window[-1].lag > 0 and now - window[-1].at > window[-1].at - window[0].at:
        return State.STOPPED
    if any(sample.lag == 0 for sample in window):
        return State.OK
    if window[0].offset == window[-1].offset:
        return State.STALLED if window[-1].lag >= window[0].lag else State.OK
    if all(after.lag > before.lag for before, after in pairwise(window)):
        return State.SLOW
    return State.OK
