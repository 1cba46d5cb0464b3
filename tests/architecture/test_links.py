"""Every relative link in the documents leads to a file or folder that is there."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "services").rglob("README.md")),
]
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)[^)]*\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z][a-z+.-]*:|#")


def links(text: str) -> list[str]:
    """Relative ones, without the place within the file."""
    found = [one or other for one, other in LINK.findall(text)]
    return [unquote(link.partition("#")[0]) for link in found if not ELSEWHERE.match(link)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_its_links_lead_somewhere(document: Path) -> None:
    assert [link for link in links(document.read_text()) if not (document.parent / link).exists()] == []


def test_links_are_found() -> None:
    text = "![a\nb](x.svg) [c](y.md#z 'title') [d](https://e.org/f) [g](#h)\n[i]: j/k.md\n"
    assert links(text) == ["x.svg", "y.md", "j/k.md"]
    assert len(links((ROOT / "README.md").read_text())) >= 20
