"""A loop that is held is measured and told."""

import asyncio
import contextlib
import time

from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from chassis.loop_watch import watch_loop


def seen_over(seconds: float) -> float:
    """Measurements above a bucket's bound."""
    name = "tributary_event_loop_lag_seconds"
    below = REGISTRY.get_sample_value(f"{name}_bucket", {"le": str(seconds)})
    return (REGISTRY.get_sample_value(f"{name}_count") or 0) - (below or 0)


async def test_a_held_loop_is_seen_and_a_free_one_is_not() -> None:
    before = seen_over(0.1)
    watching = asyncio.create_task(watch_loop(every=0.01, warn=0.2))
    with capture_logs() as logs:
        await asyncio.sleep(0.05)
        assert [line for line in logs if line["event"] == "event_loop_held"] == []
        time.sleep(0.3)  # noqa: ASYNC251 - the loop is to be held
        await asyncio.sleep(0.05)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    (told,) = [line for line in logs if line["event"] == "event_loop_held"]
    assert 0.2 < told["seconds"] < 5
    assert seen_over(0.1) == before + 1
