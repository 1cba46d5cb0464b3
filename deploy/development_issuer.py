"""An issuer of access tokens for trying out and for tests: a key pair of its own, made on first use. Whoever can read
the private key may do anything there, so it stays in one folder with mode 0600; services see the public half only."""

import hashlib
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from chassis.auth import DEVELOPMENT_AUDIENCE, DEVELOPMENT_ISSUER, Verifier
from chassis.auth_keys import FixedKeys, read_keys
from contracts.scopes import SCOPES
from deploy.keys import kept_key

LIFETIME_SECONDS = 3600
KEY, KEYS = "issuer.key", "issuer-keys.json"


class DevelopmentIssuer:
    """`keys` is the public key set, as JSON, also in `keys_file`. Use `at`."""

    def __init__(self, private: Ed25519PrivateKey, keys_file: Path) -> None:
        self._private, self.keys_file = private, keys_file
        public: dict[str, Any] = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
        self.kid = hashlib.sha256(public["x"].encode()).hexdigest()[:16]
        self.keys = msgspec.json.encode({"keys": [public | {"kid": self.kid, "use": "sig", "alg": "EdDSA"}]})

    @classmethod
    def at(cls, folder: Path) -> "DevelopmentIssuer":
        """The issuer whose key is in `folder`; made there, mode 0600, where there is none."""
        issuer = cls(kept_key(folder / KEY), folder / KEYS)
        if not issuer.keys_file.exists() or issuer.keys_file.read_bytes() != issuer.keys:
            issuer.keys_file.write_bytes(issuer.keys)
        return issuer

    def environment(self) -> dict[str, str]:
        """What makes a service of its own process believe these tokens."""
        return {"TRIBUTARY_AUTH": "development", "TRIBUTARY_AUTH_JWKS_URL": f"file:{self.keys_file.absolute()}"}

    def verifier(self) -> Verifier:
        return Verifier(DEVELOPMENT_ISSUER, DEVELOPMENT_AUDIENCE, FixedKeys(read_keys(self.keys)))

    def token(
        self,
        name: str = "development",
        scopes: Iterable[str] = SCOPES,
        councils: Iterable[str] | None = None,
        *,
        seconds: int = LIFETIME_SECONDS,
        **changed: Any,
    ) -> str:
        """`councils` None: no such claim, so an operator's where `scopes` has one of theirs. `changed` claims are put
        in as they are."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": DEVELOPMENT_ISSUER,
            "aud": DEVELOPMENT_AUDIENCE,
            "iat": now,
            "exp": now + seconds,
            "sub": name,
            "client_id": name,
            "jti": str(uuid.uuid4()),
            "scope": " ".join(scopes),
        }
        if councils is not None:
            claims["councils"] = list(councils)
        headers = {"typ": "at+jwt", "kid": self.kid}
        return jwt.encode(claims | changed, self._private, algorithm="EdDSA", headers=headers)

    def headers(self, *scopes: str, councils: Iterable[str] | None = None) -> dict[str, str]:
        """What a request carries; without scopes, all there are."""
        return {"authorization": f"Bearer {self.token(scopes=scopes or SCOPES, councils=councils)}"}
