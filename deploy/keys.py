"""Keys in files: private ones that nobody else may read, and their public halves."""

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_public_key

from chassis.audit_anchor import signing_key


def kept_key(path: Path) -> Ed25519PrivateKey:
    """The Ed25519 key in a file, made where there is none, mode 0600. Raises ValueError for another kind of key."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        new = path.with_name(f"{path.name}.{os.getpid()}")
        new.touch(mode=0o600)
        new.write_bytes(pem)
        try:
            path.hardlink_to(new)  # whoever is first wins, and nobody ever reads half a key
        except FileExistsError:
            pass
        finally:
            new.unlink()
    return signing_key(path)


def public_key(path: Path) -> Ed25519PublicKey:
    """Of either half of the pair. Raises ValueError."""
    if b"PRIVATE" in path.read_bytes():
        return signing_key(path).public_key()
    found = load_pem_public_key(path.read_bytes())
    if not isinstance(found, Ed25519PublicKey):
        raise ValueError("the audit key is not an Ed25519 key")
    return found
