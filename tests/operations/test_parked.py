"""The life of parked messages, by the command line and over HTTP, on the same real database."""

import asyncio
import json
import time

from chassis import inbox, parking, stopped
from chassis.bus import Record
from chassis.parking import list_parked
from chassis.release import Operating
from chassis.transaction import Transaction
from contracts.budget import BudgetAccepted
from services.payments import store
from tests.operations.desk import CANARY, ONE, OTHER, THIRD, Desk, message


async def test_by_the_command_line(desk: Desk) -> None:
    desk.bad = {2}
    await desk.take(ONE, 1, 2, 3)
    listed = await desk.cli("parked", "list")
    assert listed.exit_code == 0, listed.stderr
    _, first, behind = listed.stdout.splitlines()
    assert first.split()[:3] == ["payments:1", "handler_KeyError", "payments"]
    assert first.endswith("1 message")
    assert behind.endswith("waits behind payments:1")
    found = json.loads((await desk.cli("parked", "list", "--service", "payments", "--json")).stdout)
    assert [(m["attempts"], m["waiting"], m["behind"]) for m in found] == [(1, False, 1), (0, True, 0)]
    assert "payload" not in str(found)

    dry = await desk.cli("parked", "release", "payments:1")
    assert (dry.exit_code, dry.stdout) == (0, f"would release payments:1 {ONE} 2 messages\n")
    assert "--yes" in dry.stderr
    assert await desk.held(ONE) == [1]

    failed = await desk.cli("parked", "release", "payments:1", "--yes", "--quiet")
    assert failed.exit_code == 1
    assert failed.stdout == f"payments: {ONE} stays parked: payments:1 handler_KeyError\n"
    shown = json.loads((await desk.cli("parked", "show", "payments:1")).stdout)
    assert (shown["attempts"], shown["reason"]) == (2, "handler_KeyError")
    assert shown["last_tried_at"]
    assert [e["detail"]["fault"] for e in await desk.audited("parked.release_failed")] == ["handler_KeyError"]

    desk.bad = set()
    done = await desk.cli("parked", "release", "--reason", "handler_KeyError", "--yes", "--why", "repaired")
    assert (done.exit_code, done.stdout) == (0, f"payments: {ONE} released 2 messages\n")
    assert "people released" in done.stderr
    assert await desk.held(ONE) == [1, 2, 3]
    (entry,) = await desk.audited("parked.released")
    assert entry["actor"].startswith("cli:")
    assert (entry["reason"], entry["detail"]) == ("repaired", {"messages": 2})
    assert json.loads((await desk.cli("parked", "list", "--json")).stdout) == []


async def test_what_does_not_exist_is_not_called_done(desk: Desk) -> None:
    desk.bad = {1}
    await desk.take(ONE, 1)
    for command in ("rebuild", "shadow", "redrive"):
        unknown = await desk.cli("replay", "--mode", command, "--service", "nosuch", "--all")
        assert unknown.exit_code == 2, unknown.exception
        assert unknown.stderr.startswith("tributary: not_found: There is no such service. There are: assessment, ")


async def test_a_release_of_what_is_not_parked_is_refused(desk: Desk) -> None:
    """And so is one that says two things: nobody is released by it, those that are named rightly neither."""
    desk.bad = {1}
    await desk.take(ONE, 1)
    await desk.take(OTHER, 1)
    desk.bad = set()
    refused = {
        ("payments:99999",): "not_found: There is no payments:99999: see tributary parked list.",
        ("payments:1", "payments:99999"): "not_found: There is no payments:99999: see tributary parked list.",
        ("payments:1", "--all"): "invalid_field: Say SERVICE:NUMBER … alone",
        ("payments:1", "--person", str(OTHER)): "invalid_field: Say SERVICE:NUMBER … alone",
        ("payments:1", "--reason", "handler_KeyError"): "invalid_field: Say SERVICE:NUMBER … alone",
        ("payments:1", "--service", "payments"): "invalid_field: Say SERVICE:NUMBER … alone",
        ("--all", "--person", str(ONE)): "invalid_field: --all is everybody",
        (): "missing_field: Say whose",
    }
    for arguments, says in refused.items():
        for do in ((), ("--yes",)):
            done = await desk.cli("parked", "release", *arguments, *do)
            assert (done.exit_code, done.stdout) == (2, ""), arguments
            assert done.stderr.startswith(f"tributary: {says}"), arguments
    assert await desk.held(ONE) == await desk.held(OTHER) == []
    assert (await desk.cli("parked", "release", "payments:1", "--yes", "-q")).exit_code == 0
    again = await desk.cli("parked", "release", "payments:1", "--yes")
    assert (again.exit_code, again.stderr) == (
        2, "tributary: not_parked: payments:1 is not parked any more: it was released.\n",
    )  # fmt: skip


async def test_a_body_is_shown_for_a_reason_only_and_that_is_audited(desk: Desk) -> None:
    desk.bad = {1}
    await desk.take(ONE, 1)
    for without in (["--reveal"], ["--reveal", "--reason", "  "]):
        refused = await desk.cli("parked", "show", "payments:1", *without)
        assert refused.exit_code == 2
        assert "Say why" in refused.stderr
        assert "spendable" not in refused.stdout + refused.stderr
    assert await desk.audited("parked.revealed") == []
    shown = await desk.cli("parked", "show", "payments:1", "--reveal", "--reason", "ticket 12")
    body = json.loads(shown.stdout)["body"]
    assert json.loads(body["payload"])["totals"]["spendable_weekly_pence"] == 100
    assert ["ce_source", "/tributary/ras"] in body["headers"]
    (entry,) = await desk.audited("parked.revealed")
    assert (entry["reason"], entry["subject"]) == ("ticket 12", "parked/1")

    async with desk.http() as http:
        assert "spendable" not in (await http.get("/parked/1")).text
        refused_too = await http.post("/parked/1/reveal", json={"reason": " "})
        assert (refused_too.status_code, refused_too.json()["code"]) == (422, "reason_missing")
        again = await http.post("/parked/1/reveal", json={"reason": "ticket 13"})
        assert again.json() == body
    assert [e["reason"] for e in await desk.audited("parked.revealed")] == ["ticket 12", "ticket 13"]
    assert CANARY not in shown.stdout + str(await desk.ask("SELECT reason FROM payments.parked"))


async def test_what_cannot_be_read_is_its_publishers_and_can_be_discarded(desk: Desk) -> None:
    """And what waits behind it goes on with the next release, in order; new messages do not overtake it."""
    await desk.take(ONE, 1, body=b"{}")
    await desk.take(ONE, 2, 3)
    listed = json.loads((await desk.cli("parked", "list", "--person", str(ONE), "--json")).stdout)
    assert [(m["reason"], m["owner"]) for m in listed] == [("payload_invalid", "ras")] + [("behind_parked", "ras")] * 2
    stays = await desk.cli("parked", "release", "--person", str(ONE), "--yes", "-q")
    assert (stays.exit_code, "payload_invalid" in stays.stdout) == (1, True)
    refused = await desk.cli("parked", "discard", "payments:1")
    assert (refused.exit_code, "Say why" in refused.stderr) == (2, True)
    done = await desk.cli("parked", "discard", "payments:1", "--reason", "told again as revision 2")
    assert (done.exit_code, done.stdout) == (0, "discarded payments:1; 2 messages of the person waiting\n")
    await desk.take(ONE, 4)
    assert await desk.held(ONE) == []
    (entry,) = await desk.audited("parked.discarded")
    assert entry["reason"] == "told again as revision 2"
    assert [r["ended"] for r in await desk.ask("SELECT ended FROM payments.parked WHERE id = 1")] == ["discarded"]
    twice = await desk.cli("parked", "discard", "payments:1", "--reason", "again")
    assert (twice.exit_code, "not_parked" in twice.stderr) == (2, True)
    done = await desk.cli("parked", "release", "--person", str(ONE), "--yes", "-q")
    assert done.stdout == f"payments: {ONE} released 3 messages\n"
    await desk.take(ONE, 5)
    assert await desk.held(ONE) == [2, 3, 4, 5]


async def test_discard_then_release_and_a_conflict(desk: Desk) -> None:
    desk.bad = {1}
    await desk.take(ONE, 1, 2)
    done = await desk.cli("parked", "discard", "payments:1", "--reason", "wrong", "--then-release")
    assert done.stdout.splitlines()[1] == f"payments: {ONE} released 1 message"
    assert await desk.held(ONE) == [2]
    first, other = message(OTHER, 5), message(OTHER, 6)
    conflict = Record(first.topic, 0, 9, first.key, other.value, first.headers)
    await desk.running.consuming.process([inbox.read(first), inbox.read(conflict)])
    (held,) = json.loads((await desk.cli("parked", "list", "--json")).stdout)
    assert (held["reason"], held["owner"], held["waiting"]) == ("same_id_other_body", "operator", False)
    refused = await desk.cli("parked", "release", f"payments:{held['id']}", "--yes")
    assert (refused.exit_code, "not_releasable" in refused.stderr) == (2, True)
    done = await desk.cli("parked", "discard", f"payments:{held['id']}", "--reason", "ras was told")
    assert done.exit_code == 0
    assert await desk.held(OTHER) == [5]


async def test_over_http(desk: Desk) -> None:
    desk.bad = {2}
    await desk.take(ONE, 1, 2, 3)
    await desk.take(OTHER, 2)
    async with desk.http() as http:
        listed = (await http.get("/parked", params={"person": str(ONE)})).json()
        assert [m["reason"] for m in listed] == ["handler_KeyError", "behind_parked"]
        nobody = await http.post("/parked/release", json={})
        assert (nobody.status_code, nobody.json()["code"]) == (422, "missing_field")
        dry = (await http.post("/parked/release", json={"everybody": True})).json()
        assert (dry["dry_run"], [p["person_ref"] for p in dry["would_release"]]) == (True, [str(ONE), str(OTHER)])
        desk.bad = set()
        done = (await http.post("/parked/release", json={"ids": [listed[1]["id"]], "dry_run": False})).json()
        assert done["done"] == [{"person_ref": str(ONE), "released": 2, "failed_at": None, "reason": ""}]
        assert (await desk.held(ONE), await desk.held(OTHER)) == ([1, 2, 3], [])
        (left,) = (await http.get("/parked")).json()
        gone = await http.post(f"/parked/{left['id']}/discard", json={"reason": "never was"})
        assert gone.json() == {"id": left["id"], "person_ref": str(OTHER), "waiting": 0}
        again = await http.post(f"/parked/{left['id']}/discard", json={"reason": "never was"})
        assert (again.status_code, again.json()["code"]) == (409, "not_parked")
        assert (await http.get("/parked/99")).json()["code"] == "not_found"
        assert (await http.get("/consumer")).json() == {"stopped": None}
        idle = await http.post("/resume", json={"reason": "why not"})
        assert (idle.status_code, idle.json()["code"]) == (409, "not_stopped")
    await desk.take(OTHER, 3)
    assert await desk.held(OTHER) == [3]


async def test_a_release_keeps_to_its_rate(desk: Desk) -> None:
    desk.bad = {1}
    for who in (ONE, OTHER, THIRD):
        await desk.take(who, 1)
    desk.bad = set()
    async with desk.http() as http:
        started = time.monotonic()
        done = await http.post("/parked/release", json={"everybody": True, "dry_run": False, "rate": 2, "most": 2})
        assert time.monotonic() - started >= 1
    assert [p["released"] for p in done.json()["done"]] == [1, 1]
    assert await desk.held(THIRD) == [], "it was to be two people at most"


async def test_a_stopped_consumer_is_shown_and_told_to_go_on(desk: Desk) -> None:
    async with desk.running.transactions() as tx:
        since = (await stopped.say(tx, 80, {"handler_KeyError": 80}, None)).since
    assert "80 people failing at once" in (await desk.cli("parked", "list")).stderr
    refused = await desk.cli("parked", "resume", "--service", "payments")
    assert (refused.exit_code, "Say why" in refused.stderr) == (2, True)
    async with desk.running.transactions() as tx:
        assert not (await stopped.say(tx, 80, {"handler_KeyError": 80}, since)).asked
    done = await desk.cli("parked", "resume", "--service", "payments", "--reason", "rolled back", "--park-them")
    assert (done.exit_code, "told to go on" in done.stdout) == (0, True)
    async with desk.running.transactions() as tx:
        said = await stopped.say(tx, 80, {"handler_KeyError": 80}, since)
        assert (said.asked, said.park_them) == (True, True)
        assert not (await stopped.say(tx, 80, {"handler_KeyError": 80}, None)).asked, "one that stops again stays so"
    (entry,) = await desk.audited("consumer.resumed")
    assert (entry["reason"], entry["detail"]) == ("rolled back", {"park_them": True, "people": 80})


async def test_a_message_that_arrives_during_a_release_does_not_overtake(desk: Desk) -> None:
    desk.bad = {1}
    await desk.take(ONE, 1, 2)
    desk.bad = set()
    working, go_on = asyncio.Event(), asyncio.Event()
    keep = store.record

    async def slow(tx: Transaction, events: list[BudgetAccepted]) -> object:
        if events[0].revision == 1:
            working.set()
            await go_on.wait()
        return await keep(tx, events)

    desk.patch.setattr(store, "record", slow)
    releasing = asyncio.create_task(release(desk))
    await working.wait()
    arriving = asyncio.create_task(desk.take(ONE, 3))
    await asyncio.sleep(0.3)
    assert not arriving.done(), "it waits for the release"
    go_on.set()
    await asyncio.gather(releasing, arriving)
    assert await desk.held(ONE) == [1, 2, 3]
    assert await desk.ask("SELECT 1 FROM payments.parked WHERE released_at IS NULL") == []


async def release(desk: Desk) -> None:
    running = desk.running
    await Operating(running.service.handlers, running.database, running.transactions, "tester").release(ONE)


async def test_a_message_being_parked_when_a_release_begins_is_released_with_the_rest(desk: Desk) -> None:
    """Its row shows only once its batch has committed, which the release waits for."""
    desk.bad = {1}
    await desk.take(ONE, 1)
    desk.bad = set()
    async with desk.running.transactions() as tx:
        batch = await inbox.mark(tx, [inbox.read(message(ONE, 2))])
        await parking.park(tx, batch.behind_parked, parking.BEHIND)
        releasing = asyncio.create_task(release(desk))
        await asyncio.sleep(0.3)
        assert not releasing.done()
    await releasing
    assert await desk.held(ONE) == [1, 2]
    async with desk.running.transactions() as tx:
        assert await list_parked(tx) == []
