"""What the documents name is there, under that name."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "configs").rglob("*.md")]
)
NAMED = re.compile(r"\b(?:configs|docs|spikevision|tests|tools)/[\w./-]+\.(?:md|py|sh|yml)\b")
TARGET = re.compile(r"\]\((?!https?:)([^)#]+)")


def document_id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", DOCUMENTS, ids=document_id)
def test_named_files_and_link_targets_exist(document):
    text = document.read_text()
    named = [ROOT / name for name in NAMED.findall(text)]
    linked = [document.parent / target for target in TARGET.findall(text)]
    assert [str(path) for path in named + linked if not path.exists()] == []


def test_commands_of_the_readme_are_in_the_makefile():
    commands = re.findall(r"^make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert {"demo", "test", "check"} <= set(commands)
    makefile = (ROOT / "Makefile").read_text()
    assert [name for name in commands if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []
