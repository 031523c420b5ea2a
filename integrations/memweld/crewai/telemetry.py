"""CrewAI's telemetry: what is said about it, and the call that turns it off."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from typing import Any

__all__ = ["announce_telemetry", "disable_telemetry"]

_SWITCHES = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
}

_log = logging.getLogger("memweld.crewai")


def announce_telemetry() -> None:
    """Say at INFO that CrewAI sends telemetry, unless it is turned off already."""
    off = ("CREWAI_DISABLE_TELEMETRY", "CREWAI_DISABLE_TRACKING", "OTEL_SDK_DISABLED")
    if not any(os.environ.get(name, "").lower() == "true" for name in off):
        _log.info(
            "CrewAI sends telemetry to telemetry.crewai.com, and memweld sends none. Turn it off by "
            "memweld.crewai.disable_telemetry() or CREWAI_DISABLE_TELEMETRY=true."
        )


def disable_telemetry() -> None:
    """Turn off CrewAI's telemetry, tracing and look for a newer version, for this process and those that it starts.

    What CrewAI has gathered and not sent yet is dropped. Telemetry of your own, such as your OpenTelemetry provider,
    stays as it is.
    """
    os.environ.update(_SWITCHES)
    # CrewAI 1.15 reads the switches at each event. But its exporters send what waits, at the latest when Python ends.
    from crewai.telemetry import telemetry as framework
    from crewai_core import telemetry as core

    for kind in (framework.Telemetry, core.Telemetry):
        instance: Any = getattr(kind, "_instance", None)
        if instance is None:
            continue
        instance.ready = False
        exporter = getattr(instance, "_exporter", None)
        if exporter is not None:
            # One that is shut down drops what it is given.
            with suppress(Exception):
                exporter.shutdown()
