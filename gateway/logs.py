"""What the server writes about itself: one line for each thing worth knowing, never a payload, a token or somebody's words.

What the log says about a failure is where it happened, not what the exception says: that may quote a value it stumbled over.
"""
from __future__ import annotations

import logging
import re
import sys
import traceback
from types import TracebackType
from typing import Any, TextIO

from runtime.clock import iso
from runtime.signals import TRAIL
from runtime.values import encode

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "warning": logging.WARNING, "error": logging.ERROR}
FORMATS = ("text", "json")
_OURS = logging.getLogger("motorik")
ACCESS = logging.getLogger("motorik.requests")
_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def configure(format: str = "text", level: str = "info", stream: TextIO | None = None) -> None:
    """Write to `stream` (stderr), replacing whatever was configured before. Libraries are heard from warnings on: what they say
    below quotes what they carry."""
    out = logging.StreamHandler(stream or sys.stderr)
    out.setFormatter(Json() if format == "json" else Text())
    root = logging.getLogger()
    root.handlers[:] = [out]
    root.setLevel(logging.WARNING)
    # Our own failures are told by our own lines; what is left are requests that are no HTTP, and anybody can send those.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    set_level(level)


def set_level(level: str) -> None:
    """From which level on the server's own lines are written."""
    _OURS.setLevel(LEVELS[level])


def answered(method: str, status: int, seconds: float) -> None:
    """One line for a request; its route and correlation id are those of the trail."""
    ACCESS.info("%s answered with %d", method, status, extra={"status": status, "milliseconds": round(seconds * 1000, 1)})


class _Discreet(logging.Formatter):
    def formatException(self, ei: _ExcInfo) -> str:                        # noqa: N802 (the base class calls it so)
        kind, _, places = ei
        if kind is None:
            return ""
        frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(places)]
        return "\n".join([kind.__name__, *frames])

    def _facts(self, record: logging.LogRecord) -> dict[str, Any]:
        """What the line is about, besides its own words."""
        facts: dict[str, Any] = {}
        trail = TRAIL.get()
        if trail is not None:
            facts["correlationId"] = trail.correlation_id
            if trail.workspace_id is not None and _ID.fullmatch(trail.workspace_id):
                facts["workspaceId"] = trail.workspace_id
            if trail.route:
                facts["route"] = trail.route
            if trail.traceparent:
                _, facts["traceId"], facts["spanId"], _ = trail.traceparent.split("-")[:4]
        for name in ("status", "milliseconds"):
            if hasattr(record, name):
                facts[name] = getattr(record, name)
        return facts


class Json(_Discreet):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"time": iso(round(record.created * 1000)), "level": record.levelname.lower(), "logger": record.name,
                "message": record.getMessage(), **self._facts(record)}
        if record.exc_info:
            line["failure"] = self.formatException(record.exc_info).split("\n")
        return encode(line).decode()


class Text(_Discreet):
    """For eyes: the same facts behind the words."""

    def format(self, record: logging.LogRecord) -> str:
        facts = "".join(f" {name}={value}" for name, value in self._facts(record).items())
        line = f"{iso(round(record.created * 1000))} {record.levelname} {record.name}: {record.getMessage()}{facts}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info).replace("\n", "\n    ")
        return line
