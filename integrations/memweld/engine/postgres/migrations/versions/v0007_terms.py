"""Terms made anew where words are taken apart in another way by now; whoever reads the rows makes them."""

from __future__ import annotations

from memweld.engine.postgres.migrations.scripts import run

revision = "0007"
down_revision = "0006"

# Arabic and pointed Hebrew are folded in another way; words of over 40 letters stand as they are.
_TERMS = r"""
UPDATE items SET terms = NULL
WHERE text ~ '[\u0591-\u05c7\u0621-\u06ff\ufb50-\ufdff\ufe70-\ufefc]' OR text ~ '[A-Za-z]{41}';
"""


def upgrade() -> None:
    """Forget those terms."""
    run(_TERMS)
