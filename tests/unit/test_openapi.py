"""The document says what the server answers: a line for each route, schemas that mean something, no status left out."""
from __future__ import annotations

import re
from itertools import product

import jsonschema
import pytest
from door import house

from gateway.openapi import document
from gateway.openapi.table import ROUTES

_WHATEVER = ("GET", "POST", "PUT", "PATCH", "DELETE")


def _plain(path: str) -> str:
    """What parameters are called is nobody's business."""
    return re.sub(r"\{\w+\}", "{}", path)


async def test_every_route_has_its_line_and_every_line_its_route() -> None:
    async with house() as opened:
        served = {(method, _plain(route.resource.canonical)) for route in opened.server.app.router.routes() if route.method != "HEAD"
                  for method in (_WHATEVER if route.method == "*" else (route.method,))}
    assert {(route.method, _plain(route.path)) for route in ROUTES} == served
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


async def test_the_document_is_served_to_anybody() -> None:
    async with house() as opened:
        status, body, _ = await opened.request("GET", "/openapi.json")
    assert (status, body["openapi"], body["paths"].keys()) == (200, "3.1.0", document()["paths"].keys())


def _operations() -> list[tuple[str, str, dict]]:
    paths = document()["paths"]
    return [(path, method, item[method]) for (path, item), method in product(paths.items(), map(str.lower, _WHATEVER)) if method in item]


def test_every_operation_has_a_name_of_its_own_a_summary_and_an_answer() -> None:
    operations = _operations()
    assert len({operation["operationId"] for _, _, operation in operations}) == len(operations) == len(ROUTES)
    assert all(operation["summary"] and "503" in operation["responses"] for _, _, operation in operations)


@pytest.mark.parametrize("name", sorted(document()["components"]["schemas"]))
def test_a_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(document()["components"]["schemas"][name])


def test_references_lead_somewhere() -> None:
    whole = document()
    names = set(re.findall(r"#/components/schemas/(\w+)", str(whole)))
    assert names <= whole["components"]["schemas"].keys()
    assert "#/$defs" not in str(whole)


def test_an_automation_is_described_by_the_language_itself() -> None:
    schema = {"$ref": "#/components/schemas/Automation", "components": document()["components"]}
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid({"name": "greet", "do": [{"set": {"name": "a", "value": 1}}]})
    assert not validator.is_valid({"name": "greet", "do": [{"set": {"nome": "a"}}]})
