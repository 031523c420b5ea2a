"""Lazy exports of a package: each name loads its module when it is first used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .errors import missing_extra

__all__ = ["lazy_exports"]


def lazy_exports(
    package: str,
    homes: Mapping[str, Sequence[str]],
    *,
    extra: str | None = None,
    needs: Mapping[str, str] | None = None,
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the ``__getattr__`` and ``__dir__`` of a package.

    ::

        __getattr__, __dir__ = lazy_exports(__name__, {".tools": ["memory_tools"]}, extra="ag2", needs={"ag2": "ag2"})

    Args:
        package: The package's ``__name__``.
        homes: For each module, relative to the package, the names that it exports.
        extra: The extra of memweld that installs what the modules import.
        needs: Modules without which nothing of the package works, each with the distribution that has it.

    Raises:
        MissingExtraError: One of ``needs`` is not installed. A name raises it later for other modules.
    """
    for module, distribution in (needs or {}).items():
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise missing_extra(extra or "all", distribution) from error
    home_of = {name: home for home, names in homes.items() for name in names}

    def get(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            value = getattr(importlib.import_module(home_of[name], package), name)
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if extra is None or missing in ("", "memweld"):
                raise
            raise missing_extra(extra, missing) from error
        vars(sys.modules[package])[name] = value
        return value

    return get, lambda: sorted(home_of)
