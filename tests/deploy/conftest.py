"""A folder for servers that run as another user."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def place() -> Iterator[Path]:
    """A temporary folder that other users may enter, which pytest's own is not."""
    folder = Path(tempfile.mkdtemp(prefix="tributary-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
