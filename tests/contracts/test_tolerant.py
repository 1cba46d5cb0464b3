"""A reader that is a day behind ignores what it does not know; the form does not."""

import msgspec
import pytest

from chassis.parse import parse
from contracts.facts import Capital
from contracts.refusal import Refusal
from services.ras.facts import READS, Facts

SENT = b'{"age": 40, "person": {"primary_user_group": "PD", "n": 1}, "capital": {"person_pence": 5, "n": 1}, "n": 1}'


def test_a_reader_ignores_fields_it_does_not_know() -> None:
    facts = msgspec.json.decode(SENT, type=READS)
    assert (facts.age, facts.capital.person_pence, facts.carers) == (40, 5, [])
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(SENT, type=Facts)


def test_a_reader_keeps_the_bounds() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(SENT.replace(b'"person_pence": 5', b'"person_pence": -5'), type=READS)


def test_the_form_refuses_them() -> None:
    with pytest.raises(Refusal, match="not part of the form"):
        parse(b'{"person_pence": 5, "new": 1}', Capital)
