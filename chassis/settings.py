"""What a deployment sets, from the environment (`TRIBUTARY_…`); secrets from files."""

import os
import ssl
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

MOUNTED_PEPPER = Path("/run/secrets/pepper")
DEVELOPMENT_PEPPER = b"development only: set TRIBUTARY_PEPPER_FILE"


class NotSetUp(ValueError):
    """A setting is missing or wrong. The message names it and says what to do."""


class Settings(BaseSettings):
    """One service's settings. `bus` embedded keeps the log in the same database."""

    model_config = SettingsConfigDict(env_prefix="TRIBUTARY_", extra="ignore")

    bus: Literal["embedded", "kafka"] = "embedded"
    kafka_bootstrap: str = "127.0.0.1:9092"
    kafka_partitions: int = 12
    kafka_replication: int = 1
    kafka_prefix: str = ""
    """Stands before topic and group names, so that several deployments share a broker."""
    kafka_security: Literal["PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256"] = "SCRAM-SHA-512"
    kafka_user: str = ""
    """The service's principal, or its twin while a password is changed (docs/access.md)."""
    kafka_password_file: Path | None = None
    kafka_ca_file: Path | None = None
    """PEM; without it the machine's own authorities are trusted."""
    database_host: str = "127.0.0.1"
    database_port: int = 5432
    database_name: str = "tributary"
    database_password: SecretStr = SecretStr("")
    database_password_file: Path | None = None
    pepper_file: Path | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    log_format: Literal["json", "console"] = "json"
    trace_sample: float = Field(default=0.01, ge=0, le=1)
    """The share of traces whose events each get a log line, of those that come without a choice already made."""
    host: str = "127.0.0.1"
    port: int = 8080
    audit_key_file: Path | None = None
    """Ed25519 private key, PEM: signs the heads of the audit log every hour. Left out: nobody signs here."""
    audit_anchors_file: Path | None = None
    """Where signed heads are written as well, one JSON line each."""
    auth: Literal["issuer", "development"] = "issuer"
    """Whose tokens are believed: those of `auth_issuer`, or, on a loopback address, the development issuer's."""
    auth_issuer: str = ""
    auth_audience: str = ""
    auth_jwks_url: str = ""
    auth_algorithms: tuple[Literal["RS256", "PS256", "ES256", "ES384", "EdDSA"], ...] = ("RS256", "ES256", "EdDSA")
    auth_token_type: str = "at+jwt"
    """The `typ` of RFC 9068. An issuer that does not follow it writes `JWT`."""

    def password(self) -> str:
        return secret(self.database_password_file) or self.database_password.get_secret_value()

    def pepper(self) -> bytes:
        """The secret of pseudonyms: the file named, else the container's secret, else one for development."""
        path = self.pepper_file or (MOUNTED_PEPPER if MOUNTED_PEPPER.exists() else None)
        return (secret(path) or "").encode() or DEVELOPMENT_PEPPER

    def database_url(self, role: str, password: str = "") -> str:
        given = quote(password or self.password(), safe="")
        return f"postgresql://{role}:{given}@{self.database_host}:{self.database_port}/{self.database_name}"

    def kafka_options(self) -> dict[str, Any]:
        """As KafkaBus takes them. Raises NotSetUp where a user or a password is missing."""
        return {
            "security": self.kafka_login(),
            "partitions": self.kafka_partitions,
            "replication": self.kafka_replication,
            "prefix": self.kafka_prefix,
        }

    def kafka_login(self) -> dict[str, Any]:
        if self.kafka_security == "PLAINTEXT":
            return {}
        password = secret(self.kafka_password_file)
        if not (self.kafka_user and password):
            raise NotSetUp("TRIBUTARY_KAFKA_SECURITY asks for TRIBUTARY_KAFKA_USER and TRIBUTARY_KAFKA_PASSWORD_FILE")
        login: dict[str, Any] = {
            "security_protocol": self.kafka_security,
            "sasl_mechanism": self.kafka_mechanism,
            "sasl_plain_username": self.kafka_user,
            "sasl_plain_password": password,
        }
        if self.kafka_security == "SASL_SSL":
            login["ssl_context"] = ssl.create_default_context(cafile=self.kafka_ca_file)
        return login


def secret(path: Path | None) -> str | None:
    """A secret file's text without the newline an editor leaves."""
    return path.read_text().strip() if path else None


def explained(fault: BaseException) -> tuple[str, int] | None:
    """What a deployment can put right, as one line and an exit code (2: settings, 3: not now). None: it is a bug."""
    if isinstance(fault, ValidationError):  # its own text would show the values
        return "; ".join(f"TRIBUTARY_{str(e['loc'][0]).upper()}: {e['msg']}" for e in fault.errors()), 2
    if isinstance(fault, NotSetUp | SettingsError):
        return str(fault), 2
    if isinstance(fault, OSError) and fault.filename:
        named = (n for n, value in os.environ.items() if n.startswith("TRIBUTARY_") and value == str(fault.filename))
        return f"{next(named, 'a file')}: {fault.filename} cannot be used ({fault.strerror})", 2
    if str(getattr(getattr(fault, "orig", fault), "sqlstate", "")).startswith(("28", "3D")):
        return "no login: TRIBUTARY_DATABASE_NAME, …_PASSWORD or …_PASSWORD_FILE is wrong, or deploy.prepare not run", 3
    return None
