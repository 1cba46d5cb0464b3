"""A consumer's state by how offset and lag moved over ten samples, fifteen seconds apart."""

import pytest

from deploy.observe.lag import WINDOW, Sample, State, judge

STILL = [500] * WINDOW
MOVING = list(range(500, 600, 10))
GROWING = list(range(1, 11))
FIXED = [7] * WINDOW


def samples(offsets: list[int], lags: list[int]) -> list[Sample]:
    return [Sample(i * 15.0, offset, lag) for i, (offset, lag) in enumerate(zip(offsets, lags, strict=True))]


@pytest.mark.parametrize(
    ("offsets", "lags", "state"),
    [
        (MOVING, FIXED, State.OK),
        (MOVING, [900, 800, 700, 600, 500, 400, 300, 200, 100, 50], State.OK),  # far behind, and catching up
        (MOVING, GROWING, State.SLOW),
        (MOVING, [1, 2, 3, 4, 5, 5, 6, 7, 8, 9], State.OK),  # once it did not grow
        (STILL, FIXED, State.STALLED),
        (STILL, GROWING, State.STALLED),
        (STILL, [0] * WINDOW, State.OK),
        (STILL, [0, *GROWING[:-1]], State.OK),  # there was nothing to do a moment ago
        ([*STILL[:-1], 501], FIXED, State.OK),
        ([500] * 9 + [480], FIXED, State.REWOUND),
        ([500, 480, *MOVING[2:]], [0] * WINDOW, State.REWOUND),
        (STILL[:-1], FIXED[:-1], State.OK),  # not enough seen yet
    ],
)
def test_the_state(offsets: list[int], lags: list[int], state: State) -> None:
    assert judge(samples(offsets, lags), now=136.0) == state


@pytest.mark.parametrize(
    ("lags", "now", "state"),
    [
        (FIXED, 270.0, State.OK),  # the window spans 135 s
        (FIXED, 270.1, State.STOPPED),
        ([0] * WINDOW, 9999.0, State.OK),
        ([0] * 9 + [1], 270.1, State.STOPPED),
    ],
)
def test_silence_with_records_waiting_is_a_stop(lags: list[int], now: float, state: State) -> None:
    assert judge(samples(MOVING, lags), now=now) == state


def test_only_the_newest_ten_count() -> None:
    old = samples([900], [5])
    assert judge(old + [Sample(s.at + 15, s.offset, s.lag) for s in samples(MOVING, FIXED)], now=151) == State.OK
