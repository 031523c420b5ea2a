"""The conformance suite of adapters: what every framework's users are promised, driven through its real objects.

A new adapter writes an `AdapterDriver`, a screen of code that runs the framework's own agent with a scripted model,
and a test class::

    class TestLangChain(AdapterSuite):
        driver = LangChainDriver()

The suite brings its own fixtures and asks nothing of pytest plugins.
"""

from .driver import INTERRUPTIONS, AdapterDriver, Mode, Talk, ToolDriver, ToolReply, Turn
from .interruptions import InterruptionScenarios
from .sessions import SessionScenarios
from .shared_agents import SharingScenarios
from .tools import ToolScenarios
from .turns import TurnScenarios
from .year import YearScenarios

__all__ = ["INTERRUPTIONS", "AdapterDriver", "AdapterSuite", "Mode", "Talk", "ToolDriver", "ToolReply", "Turn"]


class AdapterSuite(
    ToolScenarios, TurnScenarios, InterruptionScenarios, SessionScenarios, SharingScenarios, YearScenarios
):
    """Subclass it as ``Test…`` and set ``driver``."""
