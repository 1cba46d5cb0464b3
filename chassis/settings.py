"""What a deployment sets, from the environment (`TRIBUTARY_…`); secrets from files."""

from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

MOUNTED_PEPPER = Path("/run/secrets/pepper")
DEVELOPMENT_PEPPER = b"development only: set TRIBUTARY_PEPPER_FILE"


class Settings(BaseSettings):
    """One service's settings. `bus` embedded keeps the log in the same database."""

    model_config = SettingsConfigDict(env_prefix="TRIBUTARY_", extra="ignore")

    bus: Literal["embedded", "kafka"] = "embedded"
    kafka_bootstrap: str = "127.0.0.1:9092"
    kafka_partitions: int = 12
    kafka_replication: int = 1
    kafka_prefix: str = ""
    """Stands before topic and group names, so that several deployments share a broker."""
    database_host: str = "127.0.0.1"
    database_port: int = 5432
    database_name: str = "tributary"
    database_password: SecretStr = SecretStr("")
    database_password_file: Path | None = None
    pepper_file: Path | None = None
    log_level: str = "INFO"
    log_format: Literal["json", "console"] = "json"
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
        return {
            "partitions": self.kafka_partitions,
            "replication": self.kafka_replication,
            "prefix": self.kafka_prefix,
        }


def secret(path: Path | None) -> str | None:
    """A secret file's text without the newline an editor leaves."""
    return path.read_text().strip() if path else None
