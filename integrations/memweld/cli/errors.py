"""How commands end that fail: an error of memweld's own is one line on stderr."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

__all__ = ["Group"]


class Group(TyperGroup):
    """Commands whose errors, where they are memweld's own, are one line on stderr and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        from ..errors import MemweldError

        try:
            return super().invoke(ctx)
        except MemweldError as error:
            typer.secho(f"memweld: {' '.join(str(error).split())}", err=True, fg="red")
            raise typer.Exit(1) from error
