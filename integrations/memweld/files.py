"""Files that other users of the machine must not change or read: tokens, keys, exports, audit logs."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from pathlib import Path
from typing import NamedTuple

from .errors import BackendUnavailableError, ConfigurationError

try:
    import fcntl
except ImportError:  # Windows has none.
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "ProtectedFile",
    "hide_from_others",
    "open_private",
    "read_protected",
    "read_secret",
    "refuse_planted",
]

_MAX_BYTES = 16 * 1024 * 1024
_log = logging.getLogger("memweld")
_POSIX = os.name == "posix"


class ProtectedFile(NamedTuple):
    """The content of a file that only its owner can change.

    Attributes:
        content: Its bytes.
        is_public: Whether every user of the machine can read it.
    """

    content: bytes
    is_public: bool


def read_protected(path: str | Path, kind: str) -> ProtectedFile:
    """Read a file that decides about access.

    Args:
        path: The file.
        kind: The file in words, for errors: ``token file``.

    Raises:
        ConfigurationError: It cannot be read, is no regular file, has more than 16 MiB, or other users can change it.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
                raise ConfigurationError(f"The {kind} {path} is not usable: it must be a file of at most 16 MiB.")
            _refuse_writable(path, kind, status.st_mode)
            content = file.read(_MAX_BYTES)
    except OSError as error:
        raise ConfigurationError(f"The {kind} {path} is not usable: {error.strerror or error}.") from error
    return ProtectedFile(content, is_public=_POSIX and bool(status.st_mode & stat.S_IROTH))


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # A pipe would block the server.


def _refuse_writable(path: str | Path, kind: str, mode: int) -> None:
    if _POSIX and mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigurationError(
            f"Other users can change the {kind} {path}, and so decide who is let in: run chmod go-w on it."
        )
    named = Path(path)
    for folder in {named.absolute().parent, named.resolve().parent} if _POSIX else ():
        rights = folder.stat().st_mode
        if rights & stat.S_IWOTH and not rights & stat.S_ISVTX:
            raise ConfigurationError(
                f"Every user of this machine can replace the {kind} {path}: run chmod o-w on its directory."
            )


def read_secret(path: str | Path, kind: str) -> bytes:
    """Read a file that holds a secret, such as a token or a key.

    Raises:
        ConfigurationError: As in `read_protected`; or every user of the machine can read it.
    """
    file = read_protected(path, kind)
    if file.is_public:
        raise ConfigurationError(f"Every user of this machine can read the {kind} {path}: run chmod o-r on it.")
    return file.content


def open_private(path: str | Path, *, append: bool = False, new: bool = False) -> int:
    """Open a file for writing that only its owner can read, from its first byte on.

    A file that is there already loses the rights of others. A symbolic link is refused, since another user may have
    made it. A device or pipe stays as it is. A file that another process is writing whole is waited for.

    Args:
        path: The file.
        append: Whether its content stays. Then a pipe is never waited for.
        new: Whether a file that is there already is refused.

    Returns:
        The descriptor.

    Raises:
        BackendUnavailableError: It cannot be opened, or it is another user's.
    """
    # The content goes only after the owner is known.
    flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        # A pipe without a reader, or a full one, is an error: a server would wait for it with every call.
        appending = os.O_APPEND | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(path, flags | (appending if append else os.O_EXCL if new else 0), 0o600)
        try:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode):
                if _POSIX and status.st_uid != os.geteuid():
                    raise BackendUnavailableError(
                        f"Cannot write {path}: it belongs to another user. Name another file."
                    )
                if hasattr(os, "fchmod"):
                    os.fchmod(descriptor, 0o600)
                if not append:
                    if fcntl is not None:
                        with contextlib.suppress(OSError):  # A file system without locks.
                            fcntl.flock(descriptor, fcntl.LOCK_EX)  # Until it is closed.
                    os.ftruncate(descriptor, 0)
        except BaseException:
            os.close(descriptor)
            raise
    except OSError as error:
        raise BackendUnavailableError(f"Cannot write {path}: {error.strerror or error}.") from error
    return descriptor


def refuse_planted(path: str | Path, where: str) -> None:
    """Refuse a file or link that another user has made in a folder where every user may, such as ``/tmp``.

    Args:
        path: The file.
        where: The file in words, for the error.

    Raises:
        BackendUnavailableError: Another user has made it, and could read what is written.
        OSError: It cannot be examined.
    """
    if not _POSIX:
        return
    for each in (Path(path), Path(path).resolve()):
        in_shared_folder = each.absolute().parent.stat().st_mode & stat.S_IWOTH
        if in_shared_folder and each.lstat().st_uid not in (os.geteuid(), 0):
            raise BackendUnavailableError(
                f"{where} was made by another user of this machine, in a folder where every user may: choose a file "
                "in a folder of your own."
            )


def hide_from_others(*paths: str) -> None:
    """Take the rights of all other users away from files of this user, with one warning. A group keeps its rights."""
    tightened = list[str]()
    for path in paths if _POSIX else ():
        with contextlib.suppress(OSError):
            status = Path(path).stat()
            if status.st_mode & 0o007 and status.st_uid == os.geteuid() and stat.S_ISREG(status.st_mode):
                Path(path).chmod(stat.S_IMODE(status.st_mode) & ~0o007)
                tightened.append(path)
    if tightened:
        _log.warning("Every user of this machine could read %s: its mode is tightened.", tightened[0])
