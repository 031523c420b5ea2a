"""The reference is what the code says: command line, settings, MCP tools, the public names, the HTTP API."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pages
import pytest

ROOT = Path(__file__).parents[2]
SETTING = re.compile(r"MEMWELD_[A-Z0-9_]*[A-Z0-9]")


@pytest.mark.parametrize("page", pages.PAGES)
def test_the_page_is_what_the_code_says(page: str) -> None:
    text = (pages.DOCS / page).read_text(encoding="utf-8")
    assert text == pages.written(page), f"Write {page} anew: make docs-reference"


def test_every_setting_stands_on_the_page_of_settings() -> None:
    page = set(SETTING.findall((pages.DOCS / "settings.md").read_text(encoding="utf-8")))
    files = [*(ROOT / "integrations").rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    named = {name for file in files for name in SETTING.findall(file.read_text(encoding="utf-8"))}
    assert sorted(named - page) == []


def _texts() -> str:
    """All constant texts of the package, each in one line; the parts of an f-string stand apart."""
    nodes = (
        node
        for file in (ROOT / "integrations" / "memweld").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    )
    return "\n".join(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def test_troubleshooting_quotes_errors_that_exist() -> None:
    page = (ROOT / "docs" / "how-to" / "troubleshooting.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE)
    quoted = [text for cell in cells for text in re.findall(r"`([^`]*[a-z] [^`]*)`", cell)]
    assert len(quoted) > 25
    texts = _texts()
    assert [text for text in quoted if text not in texts] == []


def test_commands_in_the_pages_exist() -> None:
    known = {
        name.partition(" ")[2]: {"--help", *(option for each in command.params for option in each.opts)}
        | {option for each in command.params for option in each.secondary_opts}
        for name, command in pages.commands()
    }
    wrong: list[str] = []
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        lines = re.sub(r"\\\n", " ", "\n".join(blocks)).splitlines()
        spoken = [line for line in lines if re.match(r"(?:\$ )?(?:[A-Z_]+=\S+ )*memweld [a-z]", line)]
        for line in [*spoken, *re.findall(r"`(memweld (?:" + "|".join(known) + r") [^`]*)`", text)]:
            name, _, rest = line.partition("memweld ")[2].partition(" ")
            options = set(re.findall(r"(?:^|\s)(--[a-z-]+)", rest.partition("#")[0]))
            if not options <= known.get(name, set()) or name not in known:
                wrong.append(f"{page.relative_to(ROOT)}: {line}")
    assert wrong == []
