"""Write the pictures of the inspector for the docs: ``python tests/browser/screenshots.py``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parent))

from example import fill

import memweld
from conftest import chromium, served
from memweld.mcp import create_app

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SHOTS = {
    "memories": "memories?user=ana&q=What+fish+do+I+cook",
    "session": "session?user=ana&id=s-travel",
    "recall": "recall?user=ana&q=What+fish+do+I+cook+for+dinner",
}
THEMES: tuple[tuple[Literal["light", "dark"], str], ...] = (("light", ""), ("dark", "-dark"))


def main() -> None:
    """Take each page in both themes."""
    IMAGES.mkdir(exist_ok=True)
    with memweld.connect("sqlite://") as backend, served(create_app(backend)) as address, chromium() as browser:
        fill(backend)
        for theme, ending in THEMES:
            context = browser.new_context(viewport={"width": 1040, "height": 760}, color_scheme=theme)
            page = context.new_page()
            for name, path in SHOTS.items():
                page.goto(f"{address}/ui/{path}")
                page.screenshot(path=IMAGES / f"inspector-{name}{ending}.png")
            context.close()


if __name__ == "__main__":
    main()
