"""The command ``memweld ui``: the inspector for the embedded file, in a browser on this machine."""

from __future__ import annotations

import os
import tempfile
import threading
import webbrowser
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from .options import Url, existing, show

__all__ = ["ui_command"]


def ui_command(
    url: Url = None,
    *,
    port: Annotated[int, typer.Option(help="The port; 0 for any free one.", min=0, max=65535)] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the browser.")] = True,
) -> None:
    """Look at the memory in a browser: search, correct, export, erase. Ends with Ctrl+C."""
    from ..mcp import create_server
    from ..mcp.generated_token import GeneratedToken
    from ..mcp.http_server import listen

    with existing(url) as backend:
        # Other accounts of this machine reach the port, too, and have no token.
        auth = GeneratedToken()
        server = create_server(backend, auth=auth, engine_tools=False)
        sockets = listen("127.0.0.1", port)
        place = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/ui"
        # The server never gets the fragment in an address, which logs would keep.
        address = f"{place}/sign-in#token={auth.token}"
        show(f"memweld: the inspector is at\n{address}\nPress Ctrl+C to end it.", err=True)
        with _page_to(address) as page:
            if browser:
                threading.Thread(target=webbrowser.open, args=(page.as_uri(),), daemon=True).start()
            server.run(transport="http", show_banner=False, sockets=sockets)


@contextmanager
def _page_to(address: str) -> Generator[Path]:
    """A page that leads to the address. Only this user reads it, while all users see the arguments of a browser."""
    descriptor, name = tempfile.mkstemp(prefix="memweld-", suffix=".html")
    page = Path(name)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f'<!doctype html><meta http-equiv="refresh" content="0;url={address}"><title>memweld</title>')
        yield page
    finally:
        page.unlink(missing_ok=True)
