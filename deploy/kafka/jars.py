"""The broker's jars: fetched by Maven once, into a cache that all clones and test runs share."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from deploy.child import DeployError

POM = Path(__file__).with_name("pom.xml")
_JAVA_AT_LEAST = 17
_FETCH_SECONDS = 600


def missing_tools() -> str | None:
    """None when Java and Maven are here; else one sentence saying what to install."""
    if shutil.which("java") is None:
        return f"Java is not installed: install Java {_JAVA_AT_LEAST} or newer (Debian: openjdk-17-jre-headless)"
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    if found is None or int(found[1]) < _JAVA_AT_LEAST:
        version = found[1] if found else "of an unknown version"
        return f"Apache Kafka needs Java {_JAVA_AT_LEAST} or newer, and this one is {version}"
    if shutil.which("mvn") is None and not _folder().exists():
        return "Maven is not installed, and Kafka's jars are not in the cache: install it (Debian: maven)"
    return None


def jars() -> Path:
    """The folder of jars, fetched if this version is not in the cache. Raises DeployError.

    Two processes may ask at once: one fetches, the other waits. A folder with the final name is complete.
    """
    folder = _folder()
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (folder.parent / f"{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                _fetch(folder)
    return folder


def _folder() -> Path:
    cache = os.environ.get("TRIBUTARY_CACHE")
    root = Path(cache) if cache else Path.home() / ".cache" / "tributary"
    return root.absolute() / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"


def _fetch(folder: Path) -> None:
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=folder.name + "."))
    try:
        command = [
            "mvn",
            "-q",
            "-B",
            "-f",
            str(POM),
            "dependency:copy-dependencies",
            f"-DoutputDirectory={partial}",
        ]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_FETCH_SECONDS)
        if ran.returncode != 0:
            raise DeployError(
                f"Maven could not fetch Kafka; is the network there?\n{(ran.stdout + ran.stderr)[-1500:]}"
            )
        partial.chmod(0o755)
        partial.rename(folder)
    except FileNotFoundError as error:
        raise DeployError(missing_tools() or str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise DeployError(f"Maven took over {_FETCH_SECONDS} s to fetch Kafka: check the network, try again") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
