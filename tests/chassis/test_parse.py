"""Whatever is sent, a refusal names the field and never says what was in it."""

import json
import re
import string
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.parse import convert, parse
from contracts.facts import AlignedAssessment, Notice
from contracts.refusal import STATUS, Refusal

CANARY = "zqx"
"""Planted in every name and text. No field, message or code holds it by chance."""

GOOD: dict[str, Any] = {
    "assessment_id": "A1",
    "council": "council-a",
    "rule_pack": "care-act-2025",
    "effective_date": "2025-06-02",
    "person": {"person_id": "P1", "date_of_birth": "1980-01-01", "primary_user_group": "PD", "household": []},
    "domain_levels": {"D01": 2},
    "carers": [{"c_d": {"D01": 0.5}, "hours": 20}],
    "income": [{"type": "dla_care", "weekly_pence": 6450, "rate": "high"}],
    "support_units": [{"unit": "pa_hour", "quantity": 3.5, "domain": "D01"}],
    "stream_only": {"ilf": {"care_hours_weekly": 46}},
}
NUMBER = 918273645546372819
wrong_text = st.text(string.ascii_letters + string.digits + "`$.[]{}\\\"'\n é£", max_size=20).map(lambda t: CANARY + t)
wrong_leaf = st.one_of(wrong_text, st.just(NUMBER), st.just(-NUMBER), st.just(NUMBER / 8), st.none(), st.booleans())
wrong_value = st.recursive(
    wrong_leaf, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(wrong_text, inner, max_size=3))
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value that could be replaced."""
    found = [path] if path else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        found += places(each, (*path, key))
    return found


def with_wrong(path: tuple[Any, ...], value: Any, *, as_name: bool) -> Any:
    """`GOOD` with `value` at `path`, or with a field of a wrong name beside it."""
    body = json.loads(json.dumps(GOOD))
    holder = body
    for part in path[:-1]:
        holder = holder[part]
    if as_name and isinstance(holder, dict):
        holder[CANARY + str(value)[:60]] = value
    else:
        holder[path[-1]] = value
    return body


def says(refusal: Refusal) -> str:
    return json.dumps([refusal.as_problem("/x", "id"), str(refusal), repr(refusal.faults)], ensure_ascii=False)


def check(refusal: Refusal) -> None:
    assert refusal.code in STATUS
    told = says(refusal)
    assert str(NUMBER)[:10] not in told
    for fault in refusal.faults:
        assert re.fullmatch(r"(/[A-Za-z0-9_*]+)*(/\(a name that cannot be shown\))?", fault.pointer)
        assert CANARY not in fault.detail
        # a name that was sent may be named where it looks like one of ours; a text never
        assert CANARY not in fault.pointer or re.fullmatch(r".*/zqx[A-Za-z0-9_]{0,37}", fault.pointer)
    assert CANARY not in refusal.detail


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(places(GOOD)), wrong_value, st.booleans())
def test_a_wrong_value_is_never_repeated(path: tuple[Any, ...], value: Any, as_name: bool) -> None:
    body = with_wrong(path, value, as_name=as_name)
    for decoded in (False, True):
        try:
            if decoded:
                convert(body, AlignedAssessment)
            else:
                parse(json.dumps(body).encode(), AlignedAssessment)
        except Refusal as refusal:
            check(refusal)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.booleans())
def test_bytes_that_are_no_json_are_refused_and_not_repeated(sent: bytes, planted: bool) -> None:
    body = sent + (CANARY.encode() if planted else b"")
    try:
        parse(body, Notice)
    except Refusal as refusal:
        check(refusal)


@settings(max_examples=200, deadline=None)
@given(wrong_value)
def test_any_json_at_all_gives_a_value_or_a_refusal(value: Any) -> None:
    with pytest.raises(Refusal) as caught:
        parse(json.dumps(value).encode(), Notice)
    check(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "code", "pointer"),
    [
        (("person", "date_of_birth"), f"{CANARY}", "invalid_field", "/person/date_of_birth"),
        (("person", "date_of_birth"), "2025-02-30", "invalid_field", "/person/date_of_birth"),
        (("person", "primary_user_group"), f"{CANARY}", "invalid_field", "/person/primary_user_group"),
        (("income", 0, "type"), f"{CANARY}", "invalid_field", "/income/0/type"),
        (("income", 0, "weekly_pence"), -1, "invalid_field", "/income/0/weekly_pence"),
        (("income", 0, "weekly_pence"), 43.15, "invalid_field", "/income/0/weekly_pence"),
        (("carers", 0, "hours"), 169, "invalid_field", "/carers/0/hours"),
        (("domain_levels", "D12"), 1, "invalid_field", "/domain_levels"),
        (("domain_levels", "D01"), 5, "invalid_field", "/domain_levels/*"),
        (("assessment_id",), f"{CANARY} x", "invalid_field", "/assessment_id"),
        (("person", "surname"), f"{CANARY}", "unknown_field", "/person/surname"),
    ],
)
def test_the_field_is_named(path: tuple[Any, ...], value: Any, code: str, pointer: str) -> None:
    with pytest.raises(Refusal) as caught:
        parse(json.dumps(with_wrong(path, value, as_name=False)).encode(), AlignedAssessment)
    assert (caught.value.code, [f.pointer for f in caught.value.faults]) == (code, [pointer])
    assert CANARY not in says(caught.value)


def test_a_missing_field_is_named() -> None:
    body = {key: value for key, value in GOOD.items() if key != "council"}
    with pytest.raises(Refusal) as caught:
        convert(body, AlignedAssessment)
    assert (caught.value.code, caught.value.faults[0].pointer) == ("missing_field", "/council")
    assert parse(json.dumps(GOOD).encode(), AlignedAssessment).income[0].weekly_pence == 6450
    assert msgspec.json.decode(msgspec.json.encode(convert(GOOD, AlignedAssessment)))["council"] == "council-a"
