"""What the server counts, as Prometheus reads it. Everything is collected when it is asked for; until then it is plain numbers.

No label has values that callers can make up: routes are the router's own templates, workspaces are a thousand at most.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from runtime.signals import Histogram

if TYPE_CHECKING:
    from gateway.app import Gateway
    from gateway.feed.open_feeds import OpenFeeds

NO_ROUTE = "(none)"
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_OTHER = "(other)"
_SWITCHING = 101
_CLOSINGS = {1011: "internal_error", 1012: "draining", 4000: "idle", 4001: "credentials", 4004: "workspace_deleted", 4008: "slow",
             4009: "protocol", 4010: "replaced", 4029: "too_many"}
_GAUGES = {"runs_open": "Runs in which something happens or waits.",
           "runs_remembered": "Runs that are over and whose run context still lives.",
           "calls_waiting": "Calls that wait for a place among RUN_MAX_CONCURRENCY.",
           "scheduler_running": "1 while schedules are kept.",
           "leases_held": "Runs that the other nodes leave to this one."}


def known_method(method: str) -> str:
    """The method, if it is one that HTTP knows: callers can make up others."""
    return method if method in _METHODS else _OTHER


class Requests:
    """What was answered. A websocket counts when it ends, and its length is no latency."""

    __slots__ = ("answered", "seconds", "open")

    def __init__(self) -> None:
        self.answered: dict[tuple[str, str, int], int] = {}
        """By route template, method and status."""
        self.seconds: dict[str, Histogram] = {}
        self.open = 0

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        key = (route, method, status)
        self.answered[key] = self.answered.get(key, 0) + 1
        if status != _SWITCHING:
            histogram = self.seconds.get(route)
            if histogram is None:
                histogram = self.seconds[route] = Histogram()
            histogram.observe(seconds)


def add_routes(gateway: Gateway, feeds: OpenFeeds, router: web.UrlDispatcher) -> None:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(gateway, feeds))
    PlatformCollector(registry)
    ProcessCollector(registry=registry)

    async def metrics(request: web.Request) -> web.Response:
        """GET /metrics"""
        await gateway.operators.admit(request)
        return web.Response(body=generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    router.add_get("/metrics", metrics)


class _Collector:
    """Reads the numbers of one node."""

    def __init__(self, gateway: Gateway, feeds: OpenFeeds) -> None:
        self._gateway = gateway
        self._feeds = feeds

    def collect(self) -> Iterator[Metric]:
        yield from self._requests()
        yield from self._runs()
        yield from self._store()
        yield from self._sockets()

    def _requests(self) -> Iterator[Metric]:
        requests = self._gateway.requests
        answered = CounterMetricFamily("motorik_http_requests", "Requests that were answered.", labels=("route", "method", "status"))
        for (route, method, status), count in requests.answered.items():
            answered.add_metric((route, method, str(status)), count)
        yield answered
        lengths = HistogramMetricFamily("motorik_http_request_seconds", "From the request to the end of the answer.", labels=("route",))
        for route, histogram in requests.seconds.items():
            lengths.add_metric((route,), _buckets(histogram), histogram.total)
        yield lengths
        yield GaugeMetricFamily("motorik_http_requests_open", "Requests being answered, feeds included.", requests.open)

    def _runs(self) -> Iterator[Metric]:
        signals = self._gateway.engine.signals
        yield CounterMetricFamily("motorik_runs", "Runs that were begun or resumed here.", signals.runs)
        yield CounterMetricFamily("motorik_automations", "Automations that were carried out.", signals.automations)
        yield CounterMetricFamily("motorik_automations_failed", "Those of them that ended with an error.", signals.failures)
        yield CounterMetricFamily("motorik_instructions", "Instructions of these automations, iterations included.", signals.instructions)
        yield HistogramMetricFamily("motorik_run_seconds", "From the start of what a trigger starts to its end.",
                                    buckets=_buckets(signals.run_seconds), sum_value=signals.run_seconds.total)
        for name, read in signals.gauges.items():
            yield GaugeMetricFamily(f"motorik_{name}", _GAUGES.get(name, ""), read())
        throttled = CounterMetricFamily("motorik_throttled_milliseconds", "How long the runs of a workspace were held back.",
                                        labels=("workspace",))
        for workspace_id, milliseconds in signals.throttled_ms.items():
            throttled.add_metric((workspace_id,), milliseconds)
        yield throttled

    def _store(self) -> Iterator[Metric]:
        signals = self._gateway.engine.signals
        yield CounterMetricFamily("motorik_events", "Events that were accepted.", signals.events)
        yield HistogramMetricFamily("motorik_store_commit_seconds", "From the hand-over of a batch to its commit.",
                                    buckets=_buckets(signals.commit_seconds), sum_value=signals.commit_seconds.total)
        yield CounterMetricFamily("motorik_store_commits_failed", "Batches that could not be committed.", signals.commits_failed)
        yield GaugeMetricFamily("motorik_store_commits_waiting", "Batches on their way to the store.", signals.commits_waiting)

    def _sockets(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("motorik_sockets_open", "Open feeds: websockets and event streams.", len(self._feeds))
        yield GaugeMetricFamily("motorik_socket_frames_waiting", "Frames that wait for their readers.", self._feeds.waiting())
        closed = CounterMetricFamily("motorik_sockets_dropped", "Websockets that the server closed.", labels=("reason",))
        for code, count in self._feeds.dropped.items():
            closed.add_metric((_CLOSINGS.get(code, _OTHER),), count)
        yield closed


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Each bucket with the shorter ones in it."""
    names = [repr(bound) for bound in histogram.bounds]
    total, buckets = 0, []
    for name, count in zip([*names, "+Inf"], histogram.counts):
        total += count
        buckets.append((name, total))
    return buckets
