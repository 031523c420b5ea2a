"""Facts by mem0, guarded: our vector store, embedders, extraction and ranking around one mem0 ``Memory``.

Importing this package prepares the import of mem0, which reads its settings at that moment.
"""

from .environment import prepare_mem0

prepare_mem0()
