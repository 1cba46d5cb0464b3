"""The steps, in the order they are taken."""

from deploy.chaos import steps_database as database
from deploy.chaos import steps_messages as on_topics
from deploy.chaos import steps_processes as processes
from deploy.chaos.rebuilt import rebuild
from deploy.chaos.running import Step

EMBEDDED, KAFKA = ("embedded",), ("kafka",)

STEPS = (
    Step("baseline", "no faults", processes.baseline, ("people assessed",)),
    Step(
        "messages",
        "repeats, shuffled; one id with another body; poison; giants; unknown versions",
        on_topics.messages,
        (
            "records sent again",
            "ids with another body",
            "messages nobody can handle",
            "records over the limit refused",
        ),
    ),
    Step("kill-services", "kill -9 of services", processes.kill_services, ("services killed",)),
    Step("kill-postgres", "kill -9 of PostgreSQL", database.kill_postgres, ("database servers killed",)),
    Step(
        "network",
        "commit answers cut, connections reset, black holes, slowness",
        database.network,
        ("commit answers cut", "connections reset", "black holes", "pieces delayed"),
        EMBEDDED,
    ),
    Step(
        "redrive",
        "an operator discards and releases",
        on_topics.redrive,
        ("messages discarded", "messages released"),
    ),
    # before a service has several members: which of two was first is written down nowhere, and before clocks are wrong
    Step("rebuild", "everything run again in an empty schema", rebuild, ("events run again", "commands run again")),
    Step(
        "freeze",
        "SIGSTOP with records in hand, beyond the lease, then awake",
        processes.freeze,
        ("processes frozen and woken", "partitions taken from the frozen", "batches of the woken dropped"),
    ),
    Step(
        "two-relays",
        "two relays on the same shards",
        processes.two_relays,
        ("relay leases taken away", "relays in turn"),
        EMBEDDED,
    ),
    Step("rebalance", "members join and leave", processes.rebalance, ("members joined", "members left")),
    Step("kill-broker", "kill -9 of Kafka", on_topics.kill_broker, ("brokers killed",), KAFKA),
    Step("no-broker", "no broker at the start", on_topics.broker_absent, ("services started without a broker",), KAFKA),
    Step("no-topics", "no topics at the start", on_topics.topics_missing, ("not ready without topics",)),
    Step("offsets-gone", "an empty group's offsets are gone", on_topics.offsets_gone, ("offsets forgotten",)),
    Step("clocks", "clocks ten minutes wrong", processes.clocks, ("clocks put wrong",), EMBEDDED),
    Step("disk-full", "no room on the disk", database.disk_full, ("writes refused for want of room",), EMBEDDED),
    Step(
        "no-slots",
        "no connection slots",
        database.no_slots,
        ("connections refused for want of a slot",),
        EMBEDDED,
    ),
    Step("deadline", "a stream's clock passes", processes.deadline, ("streams told late",), EMBEDDED),
)


def steps_for(bus: str, names: list[str]) -> list[Step]:
    """Those of `names` (empty: all) that are for this bus."""
    return [step for step in STEPS if bus in step.buses and (not names or step.name in names)]
