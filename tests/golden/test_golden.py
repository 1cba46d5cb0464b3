"""The golden cases of rule book §24, through the whole product: the command, every service, every stream, the bus.

`expected.json` holds literals worked by hand (README.md shows how); nothing here computes an amount.
"""

import json
from pathlib import Path

import pytest

from deploy.kafka import EmbeddedKafka
from tests.golden.running import CASES, HERE, JsonObject, Run, allocate

pytestmark = pytest.mark.timeout(300)
EXPECTED: dict[str, JsonObject] = json.loads((HERE / "expected.json").read_bytes())
LINE = {
    "chargeable": False,
    "weekly_pence": None,
    "one_off_pence": None,
    "contribution_pence": 0,
    "top_up_pence": 0,
    "in_budget": True,
    "weeks": None,
    "start": None,
    "end": None,
}
"""What a line leaves out when it has nothing to say."""


@pytest.fixture(scope="module")
def embedded() -> Run:
    return allocate(CASES)


@pytest.fixture(scope="module")
def on_kafka(kafka: EmbeddedKafka) -> Run:
    return allocate(CASES, "--quiet", "--bus", "kafka", "--kafka", kafka.bootstrap)


@pytest.fixture(scope="module")
def budgets(embedded: Run) -> dict[str, JsonObject]:
    return embedded.by_id()


def test_the_command_succeeds_and_keeps_its_streams_apart(embedded: Run) -> None:
    """Data on standard output, progress on standard error, and neither in the other."""
    assert embedded.code == 0, embedded.stderr
    assert len(embedded.budgets) == len(EXPECTED)
    assert b"9/9" in embedded.stderr
    assert b"assessment_id" not in embedded.stderr


def test_budgets_come_in_the_order_of_the_cases(embedded: Run) -> None:
    asked = [json.loads(line)["assessment"] for line in CASES.read_bytes().splitlines()]
    in_file = [f"{a['assessment_id']}/{a.get('version', 1)}" for a in asked]
    assert list(embedded.by_id()) == in_file == list(EXPECTED)


@pytest.mark.parametrize("case", EXPECTED)
def test_eligibility(budgets: dict[str, JsonObject], case: str) -> None:
    found = budgets[case]["eligibility"]
    assert {name: found[name] for name in EXPECTED[case]["eligibility"]} == EXPECTED[case]["eligibility"]


@pytest.mark.parametrize("case", EXPECTED)
def test_allocation(budgets: dict[str, JsonObject], case: str) -> None:
    found, expected = budgets[case]["allocation"], EXPECTED[case]
    amounts = {"points": None, "price_per_point_pence": None, "carer_weekly_pence": 0} | found
    assert {name: amounts[name] for name in expected["allocation"]} == expected["allocation"]
    assert {row["domain"]: row["points"] for row in found.get("domains", [])} == expected.get("points", {})
    units = [[u["unit"], u["price_pence"], u["weekly_pence"], u["carer_weekly_pence"]] for u in found.get("units", [])]
    assert units == expected.get("units", [])


@pytest.mark.parametrize("case", EXPECTED)
def test_contribution_and_its_steps(budgets: dict[str, JsonObject], case: str) -> None:
    found = {"mpc_weekly_pence": None} | budgets[case]["contribution"]
    assert {name: found[name] for name in EXPECTED[case]["contribution"]} == EXPECTED[case]["contribution"]
    assert calculated(found["reasons"]) == EXPECTED[case]["contribution_steps"]


@pytest.mark.parametrize("case", EXPECTED)
def test_every_stream_answers_with_its_reasons(budgets: dict[str, JsonObject], case: str) -> None:
    """A stream that is added later may answer too; those that are here must answer like this."""
    expected = EXPECTED[case]
    found = {s["stream"]: s for s in budgets[case]["streams"]}
    asked = {name: found[name] for name in expected["streams"]}
    assert {name: [s["outcome"], s["rule_set"]] for name, s in asked.items()} == expected["streams"]
    refusals = {name: rules(s, "not_met") for name, s in asked.items() if s["outcome"] == "REFUSED"}
    assert refusals == expected["not_met"]
    steps = {name: calculated(s["reasons"]) for name, s in asked.items() if calculated(s["reasons"])}
    assert steps == expected.get("stream_steps", {})
    for name, findings in expected.get("findings", {}).items():
        assert {key: found[name]["findings"][key] for key in findings} == findings


@pytest.mark.parametrize("case", EXPECTED)
def test_lines_with_money(budgets: dict[str, JsonObject], case: str) -> None:
    """To the penny: who pays, how often, for what, when, and what of it the person pays."""
    expected = EXPECTED[case]
    found = [without(line, "revision", "rule_set") for line in budgets[case]["lines"] if has_money(line)]
    assert in_order(found) == in_order(expected["lines"])
    silent = {line["stream"]: line["status"] for line in budgets[case]["lines"] if not has_money(line)}
    refused = [name for name, (outcome, _) in expected["streams"].items() if outcome == "REFUSED"]
    assert {name: silent.get(name) for name in refused} == dict.fromkeys(refused, "REFUSED")


@pytest.mark.parametrize("case", EXPECTED)
def test_every_pound_says_in_words_what_it_may_buy(budgets: dict[str, JsonObject], case: str) -> None:
    said = [(p["stream"], p["says"]) for p in budgets[case]["per_pound"]]
    lines = [line for line in budgets[case]["lines"] if has_money(line)]
    assert [stream for stream, _ in said] == [line["stream"] for line in lines]
    for line, (_, words) in zip(lines, said, strict=True):
        pence = line.get("weekly_pence") or line.get("one_off_pence")
        assert words.startswith(f"£{pence // 100:,}.{pence % 100:02} "), words
        assert line["rule_set"] in words


@pytest.mark.parametrize("case", EXPECTED)
def test_totals_and_the_rest(budgets: dict[str, JsonObject], case: str) -> None:
    found, expected = budgets[case], EXPECTED[case]
    assert (found["state"], found["complete"], found["waiting"]) == (expected["state"], True, [])
    assert found["totals"] == expected["totals"]
    assert found["offer"] == expected["offer"]
    assert {n["stream"]: n["reason"] for n in found["not_asked"]} == expected["not_asked"]
    assert found["warnings"] == expected["warnings"]


def test_a_second_run_gives_the_same_bytes(embedded: Run) -> None:
    again = allocate(CASES, "--quiet")
    assert (again.code, again.stdout) == (0, embedded.stdout)


def test_standard_input_and_a_file_give_the_same_bytes(embedded: Run, tmp_path: Path) -> None:
    out = tmp_path / "budgets.jsonl"
    done = allocate(CASES.read_bytes(), "--quiet", "--out", str(out))
    assert (done.code, done.stdout) == (0, b"")
    assert out.read_bytes() == embedded.stdout
    assert [path.name for path in out.parent.iterdir()] == ["budgets.jsonl"]


def test_kafka_gives_the_same_bytes(embedded: Run, on_kafka: Run) -> None:
    assert on_kafka.code == 0, on_kafka.stderr[-2000:]
    assert on_kafka.stdout == embedded.stdout


def calculated(reasons: list[JsonObject]) -> list[list[object]]:
    return [[r["rule"], r["pence"]] for r in reasons if r["outcome"] == "calculated"]


def rules(stream: JsonObject, outcome: str) -> list[str]:
    return [r["rule"] for r in stream["reasons"] if r["outcome"] == outcome]


def has_money(line: JsonObject) -> bool:
    return "weekly_pence" in line or "one_off_pence" in line


def without(line: JsonObject, *names: str) -> JsonObject:
    return {name: value for name, value in line.items() if name not in names}


def in_order(lines: list[JsonObject]) -> list[JsonObject]:
    """With nothing left out, whatever order the streams were asked in."""
    return sorted((LINE | line for line in lines), key=lambda line: (line["stream"], str(line["weekly_pence"])))
