"""Whose trace a request belongs to, and spans for those who collect them: request, run, automation, and what leaves an automation.

Without the setting TRACING nothing is measured, and a trace that a caller began is only carried on.
"""
from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from multidict import istr

from runtime.signals import TRAIL

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Tracer

TRACEPARENT, TRACESTATE = istr("traceparent"), istr("tracestate")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TRACESTATE = re.compile(r"[\x20-\x7e]{0,512}")
MISSING = "TRACING needs the extra otel: pip install 'motorik[otel]'"


class NoTracing(RuntimeError):
    """Spans are wanted, and there is nothing to make them with."""


def carried_on(parent: str, state: str) -> tuple[str, str]:
    """Both headers as they may be sent to others; empty when they say nothing that makes sense."""
    if not _TRACEPARENT.fullmatch(parent):
        return "", ""
    return parent, state if _TRACESTATE.fullmatch(state) else ""


def spans(exporter: SpanExporter | None = None) -> OpenSpans:
    """Spans that go to `exporter`, or over OTLP to where the variables of OpenTelemetry say. Raises `NoTracing`."""
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
        if exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            processor = BatchSpanProcessor(OTLPSpanExporter())
        else:
            processor = SimpleSpanProcessor(exporter)
    except ImportError:
        raise NoTracing(MISSING) from None
    provider = TracerProvider(resource=Resource.create({"service.name": "motorik"}), shutdown_on_exit=True)
    provider.add_span_processor(processor)
    return OpenSpans(provider.get_tracer("motorik"))


class OpenSpans:
    """See `runtime.signals.Spans`. A span knows names and kinds, never a value."""

    def __init__(self, tracer: Tracer) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        self._tracer = tracer
        self._trace = trace
        self._propagator = TraceContextTextMapPropagator()

    def around(self, name: str, attributes: Mapping[str, str], work: Callable[[], Any]) -> Any:
        trail, parent = TRAIL.get(), None
        if trail is not None and not self._trace.get_current_span().get_span_context().is_valid:
            parent = self._propagator.extract(trail.headers())
        span = self._tracer.start_span(name, parent, attributes=dict(attributes))
        try:
            with self._within(span):
                result = work()
        except BaseException as error:
            self._end(span, error)
            raise
        if hasattr(result, "__await__"):
            return self._awaited(span, result)
        span.end()
        return result

    async def _awaited(self, span: Span, pending: Awaitable[Any]) -> Any:
        try:
            with self._within(span):
                result = await pending
        except BaseException as error:
            self._end(span, error)
            raise
        span.end()
        return result

    def _within(self, span: Span) -> Any:
        """What happens inside is told to others as part of this span. An exception's own words stay here."""
        return _Within(self, span)

    def _end(self, span: Span, error: BaseException) -> None:
        span.set_status(self._trace.StatusCode.ERROR, type(error).__name__)
        span.end()

    def headers_of(self, span: Span) -> dict[str, str]:
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, self._trace.set_span_in_context(span))
        return carrier


class _Within:
    """The span is the current one, here and in what the trail sends out."""

    __slots__ = ("_spans", "_span", "_use", "_before")

    def __init__(self, spans: OpenSpans, span: Span) -> None:
        self._spans = spans
        self._span = span

    def __enter__(self) -> None:
        from opentelemetry.trace import use_span
        self._use = use_span(self._span, end_on_exit=False, record_exception=False, set_status_on_exception=False)
        self._use.__enter__()
        trail = TRAIL.get()
        headers = self._spans.headers_of(self._span)
        self._before = trail
        if trail is not None:
            TRAIL.set(trail.within(headers["traceparent"]))

    def __exit__(self, *failure: Any) -> None:
        if self._before is not None:
            TRAIL.set(self._before)
        self._use.__exit__(*failure)
