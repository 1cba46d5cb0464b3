"""How a service says who it is to the broker."""

import ssl
from pathlib import Path

import pytest

from chassis.settings import Settings


def test_a_login_is_made_of_settings_and_a_secret_file(tmp_path: Path) -> None:
    word = tmp_path / "kafka_password"
    word.write_text("canary\n")
    login = Settings(kafka_security="SASL_SSL", kafka_user="dfg", kafka_password_file=word).kafka_options()["security"]
    context = login.pop("ssl_context")
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert login == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "dfg",
        "sasl_plain_password": "canary",
    }


def test_an_open_broker_needs_none() -> None:
    assert Settings().kafka_options()["security"] == {}


@pytest.mark.parametrize("user", ["", "dfg"])
def test_half_a_login_is_refused_at_the_start(user: str) -> None:
    with pytest.raises(ValueError, match="TRIBUTARY_KAFKA_PASSWORD_FILE"):
        Settings(kafka_security="SASL_SSL", kafka_user=user).kafka_options()
