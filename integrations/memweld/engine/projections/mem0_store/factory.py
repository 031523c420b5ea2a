"""The place of the vectors that a configuration names, and what delivers to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...search.embedder_check import EmbedderCheck
from ...search.embedders import GuardedEmbedding
from ...sql.database import Database
from .configuration import Mem0Configuration
from .delivery import Delivery, attach

if TYPE_CHECKING:
    from .protocol import Mirror

__all__ = ["make_delivery"]


def make_delivery(
    configuration: Mem0Configuration, database: Database, embedding: GuardedEmbedding, claim: EmbedderCheck
) -> Delivery:
    """Open the place; the tables first, so that a database that is closed opens nothing.

    Raises:
        ConfigurationError: The configuration is wrong, or for vectors of another length.
        MissingExtraError: A package is not installed.
        BackendUnavailableError: The place does not answer.
    """
    with database.writing() as connection:
        attach(connection)
    return Delivery(database, _open(configuration, database, len(embedding.embed("memory"))), embedding, claim)


def _open(configuration: Mem0Configuration, database: Database, dimensions: int) -> Mirror:
    if configuration.provider == "platform":
        from .hosted import HostedMirror

        return HostedMirror(configuration.details, database)
    from .vectors import VectorMirror

    return VectorMirror(configuration.provider, configuration.details, dimensions)
