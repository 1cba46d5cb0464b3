"""A broker that lets nobody in without a password, and nobody do what no right allows.

SCRAM-SHA-512 for clients; the controller's own listener, which SCRAM cannot guard before the first user exists, takes
one PLAIN user. On loopback without TLS: production's listener is SASL_SSL (docs/access.md).
"""

import base64
import hashlib
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from deploy.access import SUPER_USER

MECHANISM = "SCRAM-SHA-512"
CONTROLLER = "controller"
ROUNDS = 8192
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


class Passwords:
    """One file a user, mode 600; made when first asked for, so that a restart finds it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def of(self, user: str) -> str:
        path = self.folder / user
        if not path.exists():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(24))
        return path.read_text()

    def all_of(self, users: Iterable[str]) -> dict[str, str]:
        return {user: self.of(user) for user in users}


def settings(controller_password: str) -> dict[str, str]:
    """A broker's settings beside the open one's. `controller_password`: a reference that the broker resolves, as in
    `${directory:/run/secrets:name}`, so that no setting holds the password."""
    return {
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        "inter.broker.listener.name": "CLIENT",
        "sasl.enabled.mechanisms": MECHANISM,
        "sasl.mechanism.inter.broker.protocol": MECHANISM,
        "listener.name.client.scram-sha-512.sasl.jaas.config": _SCRAM,
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": _plain(controller_password),
        "config.providers": "directory",
        "config.providers.directory.class": "org.apache.kafka.common.config.provider.DirectoryConfigProvider",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": f"User:{SUPER_USER};User:{CONTROLLER}",
    }


def properties(folder: Path) -> str:
    """The same for `server.properties`; `folder` holds the passwords."""
    found = settings(f"${{directory:{folder}:{CONTROLLER}}}")
    return "".join(f"{name}={value}\n" for name, value in found.items())


def _plain(password: str) -> str:
    """Both sides of the controller's listener."""
    module = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    return f'{module} username="{CONTROLLER}" password="{password}" user_{CONTROLLER}="{password}";'


def first_user(password: str) -> str:
    """The super user as `StorageTool format --add-scram` takes it, without the password itself."""
    salt, salted = (base64.b64encode(part).decode() for part in salted_password(password))
    return f'{MECHANISM}=[name={SUPER_USER},iterations={ROUNDS},salt="{salt}",saltedpassword="{salted}"]'


def salted_password(password: str) -> tuple[bytes, bytes]:
    """Salt, and the password under it (RFC 5802), as a broker keeps them."""
    salt = secrets.token_bytes(24)
    return salt, hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ROUNDS)


def client_options(user: str, password: str) -> dict[str, Any]:
    """As KafkaBus takes it."""
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": MECHANISM,
        "sasl_plain_username": user,
        "sasl_plain_password": password,
    }
