"""Reads the case files of this folder and plays them against a server, over HTTP alone.

A case is a workspace, what is asked of it and what must come back; `language/*.yaml` shows the form. Expected values may hold
matchers: `<any>`, `<absent>`, `<string>`, `<number>`, `<bool>`, `<iso-date>`, `<re:…>` (the whole text), `<len:N>`.
"""
from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
import uuid
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from runtime.language.loader import load

FOLDER = Path(__file__).parent / "language"
_KINDS = {
    "<any>": lambda v: v is not None,
    "<string>": lambda v: isinstance(v, str),
    "<number>": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "<bool>": lambda v: isinstance(v, bool),
    "<iso-date>": lambda v: isinstance(v, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", v),
}


def all_cases() -> list[dict[str, Any]]:
    return [{**case, "file": path.stem} for path in sorted(FOLDER.glob("*.yaml")) for case in load(path.read_text("utf-8"), name=path.name).data]


def same(expected: Any, actual: Any, *, subset: bool) -> bool:
    """`subset` lets objects have members that are not expected."""
    if isinstance(expected, str) and re.fullmatch(r"<.+>", expected, re.S):
        if expected in _KINDS:
            return bool(_KINDS[expected](actual))
        if expected == "<absent>":
            return actual is None
        if expected.startswith("<re:"):
            return isinstance(actual, str) and re.fullmatch(expected[4:-1], actual) is not None
        if expected.startswith("<len:"):
            return isinstance(actual, list) and len(actual) == int(expected[5:-1])
    if isinstance(expected, dict):
        return (isinstance(actual, dict) and (subset or set(actual) <= set(expected))
                and all((key in actual or value == "<absent>") and same(value, actual.get(key), subset=subset) for key, value in expected.items()))
    if isinstance(expected, list):
        return isinstance(actual, list) and len(actual) == len(expected) and all(same(e, a, subset=subset) for e, a in zip(expected, actual))
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, (int, float)) and isinstance(actual, (int, float)):
        return abs(expected - actual) <= 1e-9 * max(1, abs(expected))
    return expected == actual


class Answer:
    def __init__(self, status: int, text: str, headers: Message) -> None:
        self.status, self.text, self.headers = status, text, headers
        self.body: Any = json.loads(text) if "application/json" in headers.get("content-type", "") else text


class Player:
    """Plays cases against the server at `base`, as its owner where that is needed."""

    def __init__(self, base: str, token: str) -> None:
        self.base, self._owner = base, {"authorization": f"Bearer {token}"}

    def play(self, case: dict[str, Any]) -> None:
        names: dict[str, str] = {}
        for slug, definition in (case.get("apps") or {}).items():
            workspace = self._import(_filled(definition, names))
            names[f"$app.{slug}"] = f"{slug}{uuid.uuid4().hex[:8]}"
            published = self._call("POST", "/v2/apps", {"workspaceId": workspace, "slug": names[f"$app.{slug}"], "name": slug}, self._owner)
            assert published.status in (200, 201), published.text
        names["$WS"] = self._import(_filled(case["workspace"], names))
        if "steps" in case:
            for step in case["steps"]:
                self._step(_filled(step, names), names)
            return
        answer = None
        for request in case.get("requests") or [{**case["request"], "response": case.get("response") or {}}]:
            request = _filled(request, names)
            path = f"/v2/workspaces/{names['$WS']}/webhooks/{request.get('path', 'main')}"
            answer = self._expect({**request, "path": path}, request.get("response") or {})
        if case.get("events"):
            self._search(names["$WS"], {"source.correlationId": answer.headers["x-correlation-id"]}, {"contains_in_order": _filled(case["events"], names)})

    def _step(self, step: dict[str, Any], names: dict[str, str]) -> None:
        if "request" in step:
            response = step.get("response") or {}
            answer = self._expect(step["request"], response)
            for name, path in (response.get("save") or {}).items():
                assert path.startswith("headers."), path
                names["$" + name] = answer.headers[path.removeprefix("headers.")]
        elif "search_events" in step:
            self._search(names["$WS"], step["search_events"]["query"], step["search_events"])
        else:
            time.sleep(step["sleep"])

    def _import(self, definition: dict[str, Any]) -> str:
        config = definition.get("config")
        if isinstance(config, dict) and "value" not in config and "schema" not in config:
            definition = {**definition, "config": {"value": config}}
        document = json.dumps({"name": f"Case {uuid.uuid4().hex[:8]}", **definition}).encode()
        answer = self._call("POST", "/v2/workspaces/import", document, {**self._owner, "content-type": "application/yaml"})
        assert answer.status == 200 and not answer.body["errors"], answer.text
        return answer.body["workspace"]["id"]

    def _expect(self, request: dict[str, Any], expected: dict[str, Any]) -> Answer:
        body: Any = request.get("body") if request.get("method", "POST") not in ("GET", "HEAD") else None
        headers = dict(request.get("headers") or {})
        if "raw_body" in request:
            body = str(request["raw_body"]).encode()
        elif "form" in request:
            body = urlencode(request["form"]).encode()
            headers["content-type"] = "application/x-www-form-urlencoded"
        answer = self._call(request.get("method", "POST"), request["path"], body, headers, request.get("query"))
        assert answer.status == expected.get("status", 200), f"status {answer.status}: {answer.text}"
        chunks = [json.loads(line[5:]) for line in answer.text.splitlines() if line.startswith("data:")] if "sse" in expected or "sse_contains" in expected else []
        checks = {"body": lambda e: same(e, answer.body, subset=False), "body_contains": lambda e: same(e, answer.body, subset=True),
                  "text": lambda e: same(e, answer.text, subset=False), "sse": lambda e: same(e, chunks, subset=False),
                  "sse_contains": lambda e: _in_order(e, chunks),
                  "headers_contain": lambda e: all(str(v).lower() in answer.headers.get(k, "").lower() for k, v in e.items()),
                  "headers_absent": lambda e: not any(name in answer.headers for name in e)}
        for key, check in checks.items():
            assert key not in expected or check(expected[key]), f"{key}: expected {expected[key]!r}, got {answer.text!r} {dict(answer.headers)}"
        return answer

    def _search(self, workspace: str, query: dict[str, Any], wanted: dict[str, Any], seconds: float = 3) -> None:
        deadline = time.monotonic() + seconds
        while True:
            answer = self._call("GET", f"/v2/workspaces/{workspace}/events", None, self._owner,
                                {"sort": "asc", "limit": 1000, "appInstanceDepth": 99, **query})
            events = answer.body["result"]["events"]
            none = wanted.get("none") or []
            unwanted = [p for p in (none if isinstance(none, list) else [none]) if any(same(p, e, subset=True) for e in events)]
            if not unwanted and _in_order(wanted.get("contains_in_order") or [], events) and wanted.get("count", len(events)) == len(events):
                return
            assert time.monotonic() < deadline, f"{wanted} not met by {[(e['type'], e.get('payload')) for e in events]}"
            time.sleep(0.05)

    def _call(self, method: str, path: str, body: Any, headers: dict[str, str], query: dict[str, Any] | None = None) -> Answer:
        pairs = [(k, str(x)) for k, v in (query or {}).items() for x in (v if isinstance(v, list) else [v])]
        url = self.base + quote(path, safe="/:%*") + ("?" + urlencode(pairs) if pairs else "")
        if body is not None and not isinstance(body, bytes):
            body, headers = json.dumps(body).encode(), {"content-type": "application/json", **headers}
        request = urllib.request.Request(url, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answer(answer.status, answer.read().decode(), answer.headers)
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode(), error.headers)


def _in_order(patterns: list[Any], found: list[Any]) -> bool:
    rest = iter(found)
    return all(any(same(pattern, item, subset=True) for item in rest) for pattern in patterns)


def _filled(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, str) and "$" in value:
        for name in sorted(names, key=len, reverse=True):
            value = value.replace(name, names[name])
        return value
    if isinstance(value, dict):
        return {_filled(key, names): _filled(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, names) for item in value]
    return value
