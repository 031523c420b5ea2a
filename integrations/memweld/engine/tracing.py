"""OpenTelemetry: spans, and the trace context that travels with a call. Only its API is used, and only if it is loaded.

A program that wants traces has imported ``opentelemetry.trace`` and set a provider. Without both, nothing happens here.
No span has the text of an error, which may quote what a user said.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanContext, Tracer, TracerProvider

__all__ = [
    "Attributes",
    "SpanKind",
    "current_trace_id",
    "find_tracer",
    "mark_response",
    "remote_context",
    "span",
    "span_origin",
    "trace_headers",
]

Attributes: TypeAlias = Mapping[str, str | int]
SpanKind: TypeAlias = Literal["client", "server", "internal"]

_FIELDS = ("traceparent", "tracestate")

_last: tuple[TracerProvider, Tracer] | None = None


def find_tracer() -> Tracer | None:
    """The tracer of the program's provider; None where there is none."""
    global _last  # noqa: PLW0603 - a race makes the same tracer twice
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry import trace

    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        return None
    if _last is None or _last[0] is not provider:
        _last = provider, provider.get_tracer("memweld")
    return _last[1]


@contextmanager
def span(
    name: str,
    kind: SpanKind,
    attributes: Attributes,
    *,
    parent: Context | None = None,
    origin: SpanContext | None = None,
    is_root: bool = False,
) -> Generator[Span | None]:
    """Record the block as a span, the current one meanwhile; None where the program traces nothing.

    An exception sets the status and ``error.type``, and goes on.

    Args:
        name: Of the span.
        kind: Of the span.
        attributes: What a sampler may ask for.
        parent: The context that it continues; the current one if None.
        origin: A span that it is linked to.
        is_root: Whether it begins a trace of its own.
    """
    tracer = find_tracer()
    if tracer is None:
        yield None
        return
    from opentelemetry import trace
    from opentelemetry.context import Context

    opened = tracer.start_as_current_span(
        name,
        Context() if is_root else parent,
        kind=trace.SpanKind[kind.upper()],
        attributes=attributes,
        links=() if origin is None else (trace.Link(origin),),
        record_exception=False,
        set_status_on_exception=False,
    )
    with opened as current:
        try:
            yield current
        except BaseException as error:
            # FastMCP wraps the exception of a tool.
            cause = error.__cause__ if type(error).__name__ == "ToolError" else None
            current.set_attribute("error.type", type(cause or error).__qualname__)
            current.set_status(trace.StatusCode.ERROR)
            raise


def mark_response(current: Span, status: int) -> None:
    """Set the HTTP status of a server's answer: an error of the span if it is one of the server."""
    current.set_attribute("http.response.status_code", status)
    if status >= 500:
        from opentelemetry.trace import StatusCode

        current.set_attribute("error.type", str(status))
        current.set_status(StatusCode.ERROR)


def span_origin() -> SpanContext | None:
    """The current span, for a later one that is linked to it; None if there is none."""
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry import trace

    found = trace.get_current_span().get_span_context()
    return found if found.is_valid else None


def current_trace_id() -> str | None:
    """The current trace, as 32 hexadecimal digits; None if there is none."""
    found = span_origin()
    return None if found is None else f"{found.trace_id:032x}"


def trace_headers() -> dict[str, str]:
    """``traceparent`` and ``tracestate`` of the current span, for a call of another process; empty without a span."""
    if span_origin() is None:
        return {}
    from opentelemetry import propagate

    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return {name: carrier[name] for name in _FIELDS if name in carrier}


def remote_context(*carriers: Mapping[str, object] | None) -> Context | None:
    """The trace context that the first carrier with a usable one has; None if none of them has.

    Args:
        carriers: The headers of a request, or the ``_meta`` of a message. Another program wrote them.
    """
    if find_tracer() is None:
        return None
    from opentelemetry import propagate, trace
    from opentelemetry.context import Context

    for carrier in carriers:
        sent = {name: str(carrier[name]) for name in _FIELDS if carrier is not None and name in carrier}
        found = propagate.extract(sent, Context()) if sent else Context()
        if trace.get_current_span(found).get_span_context().is_valid:
            return found
    return None
