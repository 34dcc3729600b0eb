"""From the table to the document: parameters out of paths, and every status that follows from who may call and what is taken."""
from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from gateway.openapi.schemas import OBJECT, TEXT, Schema, components, ref
from gateway.openapi.table import ANYONE, FORM, JSON, LOGIN, OPERATOR, OWNER, ROUTES, YAML, ZIP, Route

_PARAMETER = re.compile(r"\{(\w+)\}")
_BY_WHO = {ANYONE: frozenset[int](), LOGIN: frozenset((401, 403)), OPERATOR: frozenset((401, 403)), OWNER: frozenset((401, 403, 404))}
_CREDENTIALS = [{"bearer": []}, {"cookie": [], "csrf": []}]
_KEYS: list[dict[str, Any]] = [{"apiKey": []}]
"""An API key opens what belongs to its workspace, and proves no login."""
_UNREADABLE_IN_JSON = frozenset((YAML, ZIP))


def document() -> Schema:
    """OpenAPI 3.1 of everything the server answers."""
    paths: dict[str, Any] = {}
    for route in ROUTES:
        item = paths.setdefault(route.path, _item(route.path))
        item[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0", "info": {"title": "Motorik", "version": "2", "license": {"name": "MIT", "identifier": "MIT"},
                                     "description": "Automations: called by webhooks, started by events and schedules."},
        "servers": [{"url": "/"}], "paths": paths,
        "components": {"schemas": components(), "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "description": "The admin token, that of a login, or an access token."},
            "cookie": {"type": "apiKey", "in": "cookie", "name": "access-token"},
            "apiKey": {"type": "apiKey", "in": "header", "name": "x-prismeai-api-key", "description": "An API key of the workspace."},
            "csrf": {"type": "apiKey", "in": "header", "name": "x-prismeai-csrf-token",
                     "description": "With the cookie, for whatever changes something; `GET /v2/me` gives it."}}}}


def _item(path: str) -> dict[str, Any]:
    names = _PARAMETER.findall(path)
    return {"parameters": [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in names]} if names else {}


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": _name(route), "summary": route.summary, "responses": _responses(route)}
    if route.who == ANYONE:
        operation["security"] = [{}, *_CREDENTIALS, *_KEYS]
    else:
        operation["security"] = [*_CREDENTIALS, *_KEYS] if route.who == OWNER else _CREDENTIALS
    if route.query:
        operation["parameters"] = [{"name": name, "in": "query", "schema": schema} for name, schema in route.query.items()]
    if route.body is not None:
        operation["requestBody"] = {"required": route.needs_body, "content": {kind: {"schema": _taken(route, kind)} for kind in route.takes}}
    return operation


def _taken(route: Route, kind: str) -> Schema:
    if kind == FORM:
        return OBJECT
    return TEXT if kind in _UNREADABLE_IN_JSON or kind.startswith("text/") else route.body or {}


def _name(route: Route) -> str:
    words = re.findall(r"\w+", route.path.removeprefix("/v2"))
    return "_".join([route.method.lower(), *words])


def _responses(route: Route) -> dict[str, Any]:
    content = {kind: {"schema": route.answer if kind == JSON else {}} for kind in route.gives}
    responses: dict[str, Any] = {str(route.status): {"description": "Done", "content": content}}
    for status in sorted(_statuses(route)):
        responses[str(status)] = _other(status)
    if route.path == "/v2/readiness":
        responses["503"]["content"] = content
    if route.is_open:
        responses["default"] = {"description": "Whatever the automation answers."}
    return responses


def _statuses(route: Route) -> set[int]:
    """Any request may be malformed (400), and find the server draining or without its store (503)."""
    statuses = {400, 503, *_BY_WHO[route.who], *route.others}
    if route.body is not None:
        statuses.add(413)
    return statuses


def _other(status: int) -> dict[str, Any]:
    described = {"description": HTTPStatus(status).phrase}
    if status >= 400:
        described["content"] = {"application/json": {"schema": ref("Error")}}
    return described
