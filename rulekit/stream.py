"""A funding stream is a folder: `stream.toml`, `facts.py`, `rules.py`, `cases.md`. This reads one."""

import hashlib
import importlib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import msgspec

from contracts.facts.tolerant import tolerant
from contracts.streams import RateUsed, RingFence, Timing
from rulekit.council import Council
from rulekit.rates import OPEN_END, ParameterMissing, RatesOn, RateTable, read_rates
from rulekit.reasons import Decision, Reasons, Rule

F = TypeVar("F")


class RuleSet(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """One version of the stream's law. `closed` means existing users only: new applications are refused by rule."""

    id: str
    packs: tuple[str, ...]
    start: date
    source: str
    status: Literal["v", "d", "u", "i", "design"]
    end: date = OPEN_END

    def covers(self, pack: str, day: date) -> bool:
        return pack in self.packs and self.start <= day <= self.end


class Definition(msgspec.Struct, frozen=True, kw_only=True, rename={"start": "from", "end": "to"}):
    """`[stream]` in stream.toml.

    `decides_here` false: the decision belongs to another body, and what is worked out here is provisional until its
    notice. `shares` says whether the law alone allows sharing (`statutory`) or the person's consent is needed.
    `clock_days` is how long the stream, and the body behind it, may take before it counts as late.
    """

    name: str
    title: str
    owner: str
    statute: str
    decision_maker: str
    decides_here: bool
    ring_fence: RingFence
    timing: Timing
    shares: Literal["statutory", "consent"]
    clock_days: int
    clock_source: str
    start: date
    end: date = OPEN_END
    ended_says: str = ""
    gateway: bool = False
    in_budget: bool = True
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Generic[F]):
    """Everything a rule may look at. `on` is the decision's effective date; `supplied` are facts another decision
    supplied (weekly pence; None where it could not be worked out)."""

    facts: F
    on: date
    council: Council
    pack: str
    rule_set: str
    rates: RatesOn
    stream: Definition
    supplied: Mapping[str, int | None]


@dataclass(frozen=True)
class Stream:
    """A folder, read and ready to decide."""

    definition: Definition
    rule_sets: tuple[RuleSet, ...]
    rates: RateTable
    facts: type[Any]
    reads: type[Any]
    """`facts`, open to fields a newer assessment service may send."""
    rules: Callable[[Question[Any]], Decision]
    on_notice: Callable[..., Decision] | None
    all_rules: tuple[Rule, ...]
    module: str
    folder: Path
    pack_hash: str

    @property
    def name(self) -> str:
        return self.definition.name

    def rule_set(self, pack: str, day: date) -> RuleSet | None:
        return next((r for r in self.rule_sets if r.covers(pack, day)), None)

    def decide(self, question: Question[Any]) -> Decision:
        """The rules' decision; a missing rate is `parameter_missing`, never a guess."""
        try:
            return self.rules(question)
        except ParameterMissing as missing:
            return parameter_missing(missing)


PARAMETER_MISSING = Rule(
    "PARAMETER",
    "A rate this rule needs is not known for the date",
    "rule book R-CONV-7; architecture §5",
    "design",
)


def parameter_missing(missing: ParameterMissing) -> Decision:
    reasons = Reasons()
    reasons.check(PARAMETER_MISSING, None, parameter=missing.key, on=missing.on.isoformat())
    return Decision(outcome="UNCLEAR", reasons=reasons.all(), warnings=("parameter_missing",))


def read_stream(module: str, folder: Path) -> Stream:
    """Import `module` (a package holding facts.py and rules.py) and read its stream.toml.

    Raises ValueError or msgspec.ValidationError naming the file when the folder is not a stream.
    """
    raw = tomllib.loads((folder / "stream.toml").read_text())
    rules = importlib.import_module(f"{module}.rules")
    facts = importlib.import_module(f"{module}.facts").Facts
    rule_sets = tuple(msgspec.convert(row, RuleSet) for row in raw["rule_sets"])
    _check_no_overlap(rule_sets)
    return Stream(
        definition=msgspec.convert(raw["stream"], Definition),
        rule_sets=rule_sets,
        rates=read_rates(raw.get("rates", [])),
        facts=facts,
        reads=tolerant(facts),
        rules=rules.decide,
        on_notice=getattr(rules, "on_notice", None),
        all_rules=tuple(r for r in vars(rules).values() if isinstance(r, Rule)),
        module=module,
        folder=folder,
        pack_hash=folder_hash(folder),
    )


def folder_hash(folder: Path) -> str:
    """SHA-256 over what decides: rates, facts and rules."""
    digest = hashlib.sha256()
    for name in ("stream.toml", "facts.py", "rules.py"):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def _check_no_overlap(rule_sets: tuple[RuleSet, ...]) -> None:
    for i, one in enumerate(rule_sets):
        for other in rule_sets[i + 1 :]:
            if set(one.packs) & set(other.packs) and one.start <= other.end and other.start <= one.end:
                raise ValueError(f"rule sets {one.id} and {other.id} overlap within a pack")


__all__ = ["Definition", "ParameterMissing", "Question", "RateUsed", "RuleSet", "Stream", "read_stream"]
