"""mem0's hosted service as a store of vectors: it gets the texts and says which of them are near.

The service gives memories ids of its own, and takes them up some time after it has answered. So each is sent with our
id as metadata, and found by it again. A note is made before a text is sent: if the service cannot find the memory yet,
it is changed later.
"""

# mem0 2.2 has no type stubs.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping, Sequence
from typing import Any, cast

from ....errors import BackendUnavailableError, ConfigurationError, MemweldError
from ....scope import Scope
from ...extraction.mem0.side_effects import load_mem0
from ...search.embedders import Vector
from ...sql.database import Database
from ...sql.ttl import now
from .protocol import ItemCopy, Records, owner_ids
from .store_registry import one_line

__all__ = ["HostedStore"]

_HOST = "https://api.mem0.ai"
_TIMEOUT_SECONDS = 30.0
_SETTLED_SECONDS = 600.0
_PAGE, _MOST = 100, 100
_ID = "memweld_id"

_TABLE = "CREATE TABLE IF NOT EXISTS mem0_sent (item INTEGER PRIMARY KEY, place TEXT NOT NULL, at REAL NOT NULL)"


class HostedStore:
    """mem0's service, through mem0's own ``MemoryClient``.

    Args:
        details: ``api_key``, and ``host`` if it is not mem0's own.
        database: Where is noted what was sent.
        records: Names the items of this database in the service.

    Raises:
        ConfigurationError: The service refuses the key.
        BackendUnavailableError: It does not answer.
    """

    keeps_copies = True
    is_exclusive = False

    def __init__(self, details: Mapping[str, Any], database: Database, records: Records) -> None:
        load_mem0()
        import httpx
        from mem0 import MemoryClient

        host = str(details.get("host") or _HOST)
        self.where = f"mem0's service at {host}"
        self._database, self._records = database, records
        with database.writing_all() as connection:
            connection.execute(_TABLE)
        self._http = httpx.Client(timeout=_TIMEOUT_SECONDS)
        try:
            self._client: Any = MemoryClient(api_key=details["api_key"], host=host, client=self._http)
        except Exception as error:
            self._http.close()
            response = getattr(error.__context__, "response", None)
            if getattr(response, "status_code", None) in (401, 403):
                raise ConfigurationError(f"{self.where} refuses the API key: {one_line(error)}") from error
            raise BackendUnavailableError(f"{self.where} does not answer: {one_line(error)}") from error

    def put(self, copies: Sequence[ItemCopy]) -> set[int]:
        """Send texts. Those that were sent before, and that the service cannot find yet, must wait."""
        early: set[int] = set()
        for copy in copies:
            entry, owner = copy.entry, owner_ids(copy.entry.scope)["user_id"]
            metadata = {
                _ID: self._records.id_of(entry.seq),
                **self._records.fields(entry.seq),
                "memweld_kind": entry.kind,
            }
            sent = self._sent(entry.seq)
            if sent is not None:
                found = self._found(entry.seq, sent[0])
                for remote in found:
                    with self._asking():
                        self._client.update(remote, text=entry.text, metadata=metadata)
                if found:
                    continue
                if sent[1] > now() - _SETTLED_SECONDS:
                    early.add(entry.seq)
                    continue
            self._note(entry.seq, owner)
            try:
                with self._asking():
                    messages = [{"role": "user", "content": entry.text}]
                    self._client.add(messages, user_id=owner, infer=False, metadata=metadata)
            except BackendUnavailableError as error:
                if getattr(error.__cause__, "error_code", None) != "NET_TIMEOUT":
                    # It was not taken. After a time-out it may have been.
                    self._forget(entry.seq)
                raise
        return early

    def drop(self, items: Sequence[int]) -> set[int]:
        """Delete memories that were sent. Those that the service cannot find yet must wait."""
        early: set[int] = set()
        for item in items:
            sent = self._sent(item)
            if sent is None:
                continue
            found = self._found(item, sent[0])
            for remote in found:
                self._delete(remote)
            if found or sent[1] <= now() - _SETTLED_SECONDS:
                self._forget(item)
            else:
                early.add(item)
        return early

    def near(self, scope: Scope, query: str, vector: Vector, count: int) -> tuple[dict[int, float], bool]:
        """Search by the text of the query: the service has an embedder of its own."""
        place = owner_ids(scope)["user_id"]
        limit = min(count, _MOST)
        with self._asking():
            answer = self._client.search(query, filters={"user_id": place}, top_k=limit, threshold=0.0)
        near: dict[int, float] = {}
        results = _results(answer)
        for result in results:
            item = self._item_of(result)
            if item is not None and result.get("user_id", place) == place:
                near.setdefault(item, min(max(float(result.get("score") or 0.0), 0.0), 1.0))
        return near, len(results) >= limit and limit < _MOST

    def missing(self, items: Sequence[int]) -> list[int]:
        """Which of these were not sent, or not taken up in ten minutes."""
        sent = {item: self._sent(item) for item in items}
        there: set[int] = set()
        for place in {note[0] for note in sent.values() if note is not None}:
            there |= {item for result in self._all({"user_id": place}) if (item := self._item_of(result)) is not None}
        settled = now() - _SETTLED_SECONDS
        lost = [item for item, note in sent.items() if note is None or (item not in there and note[1] <= settled)]
        for item in lost:
            self._forget(item)
        return lost

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _found(self, item: int, place: str) -> list[str]:
        """The service's ids of a memory."""
        filters = {"AND": [{"user_id": place}, {"metadata": {_ID: self._records.id_of(item)}}]}
        return [str(result["id"]) for result in self._all(filters) if self._item_of(result) == item]

    def _all(self, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        page = 1
        while True:
            with self._asking():
                answer = self._client.get_all(filters=dict(filters), page=page, page_size=_PAGE)
            results = _results(answer)
            found += results
            if not results or not isinstance(answer, Mapping) or not answer.get("next"):
                return found
            page += 1

    def _delete(self, remote: str) -> None:
        try:
            with self._asking():
                self._client.delete(remote)
        except BackendUnavailableError as error:
            if type(error.__cause__).__name__ != "MemoryNotFoundError":
                raise

    # what was sent

    def _sent(self, item: int) -> tuple[str, float] | None:
        with self._database.reading_all() as connection:
            row = connection.execute("SELECT place, at FROM mem0_sent WHERE item = ?", (item,)).fetchone()
        return None if row is None else (str(row[0]), float(row[1]))

    def _note(self, item: int, place: str) -> None:
        with self._database.writing_all() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO mem0_sent (item, place, at) VALUES (?, ?, ?)", (item, place, now())
            )

    def _forget(self, item: int) -> None:
        with self._database.writing_all() as connection:
            connection.execute("DELETE FROM mem0_sent WHERE item = ?", (item,))

    def _item_of(self, result: Mapping[str, Any]) -> int | None:
        """The item that a memory of the service is a copy of; None for memories of others."""
        metadata = result.get("metadata")
        fields: Mapping[str, Any] = cast("Mapping[str, Any]", metadata) if isinstance(metadata, Mapping) else {}
        return self._records.item_of(str(fields.get(_ID)), fields)

    @contextlib.contextmanager
    def _asking(self) -> Generator[None]:
        try:
            yield
        except MemweldError:
            raise
        except Exception as error:
            raise BackendUnavailableError(f"{self.where} failed: {type(error).__name__}: {one_line(error)}") from error


def _results(answer: Any) -> list[dict[str, Any]]:
    """The memories of an answer, which is a list or has one."""
    listed = cast("Mapping[str, Any]", answer).get("results") if isinstance(answer, Mapping) else answer
    if not isinstance(listed, list):
        raise BackendUnavailableError("mem0's service gave an answer without results.")
    return [cast("dict[str, Any]", each) for each in cast("list[object]", listed) if isinstance(each, dict)]
