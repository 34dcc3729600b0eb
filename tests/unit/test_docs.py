"""The pages say what is so: their YAML is accepted and gives what they show, their tables list what there is, no more and no less."""
from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from documents import ROOT, Block, blocks, code, pages, rows
from door import house
from kit import sandbox

from gateway.config import Settings
from gateway.variables import FAMILIES
from runtime.calls import NOBODY, Origin
from runtime.expressions.functions import FUNCTIONS
from runtime.language.check import check_automation, check_workspace
from runtime.language.loader import load
from runtime.language.problems import Report
from runtime.language.schema import INSTRUCTION_SCHEMAS
from runtime.modules import MODULES

LANGUAGE, HTTP, CONFIGURATION = (ROOT / "docs" / name for name in ("language.md", "http-api.md", "configuration.md"))
DOCUMENTS = [block for page in pages() for block in blocks(page) if block.kind.split(" ")[0] == "yaml"]


def _document(block: Block) -> dict[str, Any]:
    data = load(block.text, name=str(block)).data
    return {"do": data} if type(data) is list else data


def _checked(block: Block) -> Report:
    data = _document(block)
    return check_workspace(data) if "automations" in data else check_automation(data)


@pytest.mark.parametrize("block", [block for block in DOCUMENTS if block.kind != "yaml mistaken"], ids=str)
def test_what_the_pages_show_is_accepted_without_a_warning(block: Block) -> None:
    report = _checked(block)
    assert [str(problem) for problem in (*report.problems, *report.warnings)] == []


def test_what_the_pages_call_a_mistake_is_told_in_these_words() -> None:
    mistakes = [(block, told) for block, told in pairwise(blocks(LANGUAGE)) if block.kind == "yaml mistaken"]
    assert mistakes
    for block, told in mistakes:
        assert [f"{problem.message}. {problem.hint}" for problem in _checked(block).warnings] == [told.text.strip()]


def _examples() -> Iterator[tuple[Block, Block]]:
    return ((block, shown) for block, shown in pairwise(blocks(LANGUAGE)) if block.kind == "yaml" and shown.kind == "json")


@pytest.mark.parametrize(("block", "shown"), list(_examples()), ids=lambda block: str(block))
async def test_an_example_of_the_language_gives_what_is_shown_below_it(block: Block, shown: Block) -> None:
    data = _document(block)
    workspace = data if "automations" in data else {"name": "Shown", "automations": {"main": data}}
    async with sandbox(workspace["automations"], config=workspace.get("config")) as box:
        output = await box.engine.test(box.id, "main", {}, Origin("correlation", NOBODY))
    assert json.loads(json.dumps(output, default=lambda undefined: None)) == json.loads(shown.text)


def test_every_instruction_is_listed_with_its_parameters() -> None:
    listed = {code(name)[0]: code(parameters) for name, parameters, _ in rows(LANGUAGE, "## Reference: instructions")}
    assert listed == {word: list(_parameters(schema)) for word, schema in INSTRUCTION_SCHEMAS.items()}


def _parameters(schema: dict[str, Any]) -> dict[str, Any]:
    return next((each["properties"] for each in (schema, *schema.get("anyOf", ())) if "properties" in each), {})


def test_every_function_is_listed_with_no_more_arguments_than_it_takes() -> None:
    listed = {}
    for call, _ in rows(LANGUAGE, "## Reference: functions"):
        name, arguments = re.fullmatch(r"`(\w+)\((.*)\)`", call).groups()
        listed[name] = arguments.count(",") + 1 if arguments else 0
    assert listed.keys() == FUNCTIONS.keys()
    assert {name: count for name, count in listed.items() if count > FUNCTIONS[name].most} == {}


def test_every_module_is_listed_with_its_functions() -> None:
    assert {code(name)[0]: code(functions) for name, functions in rows(LANGUAGE, "## Reference: modules")} \
        == {name: list(module.functions) for name, module in MODULES.items()}


def test_every_setting_is_listed_with_its_default_and_meaning() -> None:
    text = CONFIGURATION.read_text()
    listed = {code(name)[0]: (default.strip("`"), _plain(meaning)) for heading in re.findall(r"^### .*$", text, re.M)
              for name, default, meaning in (row for row in rows(CONFIGURATION, heading) if len(row) == 3)}
    expected = {setting.name: (setting.value.strip("-()"), setting.meaning) for setting in Settings.from_environment({}).describe()}
    assert listed == expected
    families = {code(name)[0].rstrip("…"): _plain(meaning) for name, meaning in rows(CONFIGURATION, "### Families")}
    assert families == {prefix: meaning for prefix, (_, meaning) in FAMILIES.items()}


def _plain(cell: str) -> str:
    return cell.replace("&lt;", "<").replace("&gt;", ">")


async def test_every_route_is_listed() -> None:
    async with house() as opened:
        served = {(route.method.replace("*", "ANY"), re.sub(r"workspace_id", "workspace", route.resource.canonical))
                  for route in opened.server.app.router.routes() if route.method != "HEAD"}
    listed = [tuple(code(route)[0].split(" ")) for route, _, _ in rows(HTTP, "## Routes")]
    assert sorted(listed) == sorted(served)


def test_every_file_that_the_architecture_names_is_there() -> None:
    for room, _ in rows(ROOT / "docs" / "architecture.md", "## Rooms"):
        first, *others = code(room)
        folder = (ROOT / first).parent
        assert all(place.exists() for place in (ROOT / first, *(folder / other for other in others))), room


def test_links_between_pages_lead_somewhere() -> None:
    for page in pages():
        for target in re.findall(r"\]\(([^)#]*)(?:#[^)]*)?\)", page.read_text()):
            assert not target or "://" in target or (page.parent / target).exists(), (page, target)
