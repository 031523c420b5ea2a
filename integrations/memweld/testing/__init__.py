"""What adapters, engines and applications are tested with: conformance suites, scripted models, a hash embedder.

Nothing here needs a key, a server or a download, and nothing here is used by memweld outside of tests.
"""

from .adapters import AdapterDriver, AdapterSuite, Mode, ToolReply, Turn
from .backends import BackendSuite
from .embedding import HashEmbedder

__all__ = ["AdapterDriver", "AdapterSuite", "BackendSuite", "HashEmbedder", "Mode", "ToolReply", "Turn"]
