"""What ``memweld`` without a command says: what it is, where the memory is, and what to do next."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from .options import counted, existing, show

__all__ = ["show_overview"]


def show_overview() -> None:
    """Show it. It opens a file that exists, and no server."""
    from .. import __version__
    from ..engine.sqlite.url import path_of
    from ..settings import default_file, load_settings
    from ..urls import public_url

    settings = load_settings()
    url = settings.url or f"sqlite:///{default_file()}"
    path = path_of(url) if url.lower().startswith("sqlite://") else None
    user = os.environ.get("MEMWELD_USER_ID")
    who = "" if user else " --user ana"
    show(f"memweld {__version__}: one memory of a user for LangChain, CrewAI, AutoGen and MCP\n")
    show(f"Memory  {public_url(url) if path is None else path}{'' if path is None else _state(path)}")
    if user:
        show(f"User    {user}")
    found = path is None or Path(path).exists()
    second = f'memweld search "which language?"{who}' if found else "memweld demo"
    show(f'\nNext    memweld add "I love Python"{who}\n        {second}')
    show("        memweld serve --transport http --generate-token")
    show("\nMore    memweld --help, memweld doctor, memweld --install-completion")


def _state(path: str) -> str:
    from ..errors import MemweldError

    if not Path(path).exists():
        return " (made by the first add)"
    try:
        with existing(f"sqlite:///{path}") as backend:
            users = len(backend.users())
    except MemweldError:
        return f" (cannot be read: `memweld doctor --url {shlex.quote(f'sqlite:///{path}')}` says why)"
    return f" ({counted(users, 'users')}, {Path(path).stat().st_size / 1e6:.1f} MB)"
