"""Scenarios of runs that do not finish: the next one goes on, and nothing that the user said is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ... import connect
from ..embedding import HashEmbedder
from ..llm import ScriptedExtractor, facts
from .driver import INTERRUPTIONS, Scenarios

__all__ = ["InterruptionScenarios"]

TEXTS = ("I moved to a houseboat", "I keep bees")


class InterruptionScenarios(Scenarios):
    """Scenarios of an agent whose run breaks off, and which the user then tells something else."""

    @pytest.mark.parametrize("with_llm", [False, True])
    @pytest.mark.parametrize("how", INTERRUPTIONS)
    def test_an_interrupted_run_loses_nothing(self, tmp_path: Path, how: str, with_llm: bool) -> None:
        """Both messages are in the session once, in order, and both are remembered, with an LLM that finds no facts."""
        driver: Any = self.driver
        if how not in getattr(driver, "interruptions", ()):
            pytest.skip("the driver cannot interrupt a run like this")
        llm = ScriptedExtractor([facts()]) if with_llm else None
        with connect(f"sqlite:///{tmp_path / 'memory.db'}", embedder=HashEmbedder(), llm=llm) as backend:
            places = [(mode, *place) for mode in driver.modes for place in self._sessions(f"{mode}-{how}")]
            for number, (mode, session, keeps_facts) in enumerate(places):
                ana = backend.user(f"ana-{number}")
                driver.interrupt(ana, TEXTS, how, session_id=session, mode=mode)
                assert ana.flush(20)
                if session is not None:
                    messages = ana.history(session).messages()
                    assert tuple(message.text for message in messages if message.role == "user") == TEXTS
                if keeps_facts:
                    assert sorted(item.text for item in ana.all(kinds=["item", "source"])) == sorted(TEXTS)
