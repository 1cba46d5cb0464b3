"""What the commands of `tributary parked` do."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from chassis.parking import Parked, Wanted
from chassis.release import Choice, Operating, Outcome, Person, needed
from contracts.refusal import Refusal
from tributary.operating import Reached, handle, run
from tributary.run import DONE, REFUSED_LINES, progress_on_stderr


@dataclass(frozen=True)
class Order:
    """A release as it was asked for: `messages` are handles; `rate` is people a second; without `do`, a dry run."""

    messages: tuple[str, ...]
    service: str
    choice: Choice
    rate: float
    why: str
    do: bool
    quiet: bool


def show_list(service: str, wanted: Wanted, data: Path | None, *, as_json: bool) -> int:
    async def work(reached: Reached) -> int:
        found: list[tuple[str, Parked]] = []
        for name, operating in reached.some(service).items():
            found += [(name, one) for one in await operating.listed(wanted)]
            if (stop := await operating.stopped()) is not None:
                _say(f"{name}: its consumer stopped itself, {stop.people} people failing at once: {stop.reasons}")
        if as_json:
            _print_json([{"service": name, **msgspec.to_builtins(one)} for name, one in found])
        else:
            _print_table(found)
        return DONE

    return run(work, data)


def show(message: str, data: Path | None, *, reason: str, reveal: bool) -> int:
    async def work(reached: Reached) -> int:
        name, number = handle(message)
        operating = reached.of(name)
        if reveal:
            needed(reason)
        found = {"service": name, **msgspec.to_builtins(await operating.shown(number))}
        if reveal:
            found["body"] = await operating.revealed(number, reason)
        _print_json(found)
        return DONE

    return run(work, data)


def release(order: Order, data: Path | None) -> int:
    async def work(reached: Reached) -> int:
        planned = [
            (name, person)
            for name, choice in (await _choices(order, reached)).items()
            for person in await reached.of(name).planned(choice)
        ]
        if not order.do:
            for name, person in planned:
                print(f"would release {name}:{person.head} {person.person_ref} {_messages(person.messages)}")
            _say(f"{len(planned)} people would be released. Nothing was done: say --yes to do it.")
            return DONE
        return await _release(reached, planned, order)

    return run(work, data)


async def _choices(order: Order, reached: Reached) -> dict[str, Choice]:
    """Service -> whose messages to release there. Raises Refusal."""
    choice = order.choice
    some = bool(choice.people or choice.reason)
    if order.messages:
        if some or choice.everybody or order.service:
            raise Refusal("invalid_field", "Say SERVICE:NUMBER … alone, or --service, --person, --reason and --all.")
        return await _of_messages(order.messages, reached)
    if some == choice.everybody:
        what = (
            "--all is everybody: leave out --person and --reason."
            if some
            else "Say whose: SERVICE:NUMBER, --person, --reason or --all."
        )
        raise Refusal("invalid_field" if some else "missing_field", what)
    return dict.fromkeys(reached.some(order.service), choice)


async def _of_messages(handles: Sequence[str], reached: Reached) -> dict[str, Choice]:
    """Every one must be parked now: what was mistyped is not to look as if it were done."""
    ids: dict[str, list[int]] = {}
    for name, number in map(handle, handles):
        ids.setdefault(name, []).append(number)
    for name, numbers in ids.items():
        found = {
            one.id: one.ended for one in await reached.of(name).listed(Wanted(ids=tuple(numbers), most=len(numbers)))
        }
        for number in numbers:
            if number not in found:
                raise Refusal("not_found", f"There is no {name}:{number}: see tributary parked list.")
            if found[number] is not None:
                raise Refusal("not_parked", f"{name}:{number} is not parked any more: it was {found[number]}.")
    return {name: Choice(ids=tuple(numbers)) for name, numbers in ids.items()}


async def _release(reached: Reached, planned: Sequence[tuple[str, Person]], order: Order) -> int:
    stayed = 0
    with progress_on_stderr(quiet=order.quiet) as progress:
        task = progress.add_task("people released", total=len(planned))
        for name in dict.fromkeys(name for name, _ in planned):
            people = [person for at, person in planned if at == name]
            async for outcome in reached.of(name).release_all(people, order.rate, order.why):
                stayed += outcome.failed_at is not None
                print(_outcome(name, outcome))
                progress.advance(task)
    return REFUSED_LINES if stayed else DONE


def _outcome(service: str, outcome: Outcome) -> str:
    if outcome.failed_at is not None:
        return f"{service}: {outcome.person_ref} stays parked: {service}:{outcome.failed_at} {outcome.reason}"
    return f"{service}: {outcome.person_ref} released {_messages(outcome.released)}"


def discard(message: str, data: Path | None, reason: str, *, then_release: bool) -> int:
    async def work(reached: Reached) -> int:
        name, number = handle(message)
        operating = reached.of(name)
        done = await operating.discard(number, reason)
        print(f"discarded {name}:{number}; {_messages(done.waiting)} of the person waiting")
        if done.waiting and not then_release:
            _say(f"Next: tributary parked release --service {name} --person {done.person_ref} --yes")
        return await _release_after(operating, name, done.person_ref) if done.waiting and then_release else DONE

    return run(work, data)


async def _release_after(operating: Operating, name: str, person_ref: Any) -> int:
    outcome = await operating.release(person_ref, "after a discard")
    print(_outcome(name, outcome))
    return REFUSED_LINES if outcome.failed_at is not None else DONE


def resume(service: str, data: Path | None, reason: str, *, park_them: bool) -> int:
    async def work(reached: Reached) -> int:
        stop = await reached.of(service).resume(reason, park_them=park_them)
        print(f"{service} was told to go on; it stopped at {stop.stopped_at:%Y-%m-%d %H:%M:%S} UTC: {stop.reasons}")
        return DONE

    return run(work, data)


HEAD = ("ID", "REASON", "OWNER", "AGE", "TRIES", "PERSON", "HOLDS UP")


def _print_table(found: Sequence[tuple[str, Parked]]) -> None:
    rows = [HEAD, *(_row(name, one) for name, one in found)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(HEAD))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(name: str, one: Parked) -> tuple[str, ...]:
    holds = f"waits behind {name}:{one.blocked_by}" if one.waiting else _messages(one.behind) if one.behind else "-"
    age, tries = _age(one.age_seconds), str(one.attempts)
    return (f"{name}:{one.id}", one.reason, one.owner, age, tries, str(one.person_ref), holds)


def _age(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _messages(n: int) -> str:
    return f"{n} message{'s' if n != 1 else ''}"


def _print_json(found: object) -> None:
    print(msgspec.json.format(msgspec.json.encode(found)).decode())


def _say(text: str) -> None:
    print(f"tributary: {text}", file=sys.stderr)
