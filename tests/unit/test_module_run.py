from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from runtime.errors import InvalidInstruction
from runtime.expressions import compile_value
from runtime.instructions import module
from runtime.testing import CountedIds, HandClock
from store.changes import apply


class Documents:
    def __init__(self) -> None:
        self.document: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        return self.document

    def change(self, op: str, path: tuple, value: Any = None) -> None:
        apply(self.document, op, path, value)


class Frame:
    def __init__(self) -> None:
        self.locals: dict[str, Any] = {"d": "abc"}
        self.ids, self.clock = CountedIds(), HandClock()
        self.identity = SimpleNamespace(user_id="ada")
        self.kept: dict[str, Documents] = {}
        self.reported: list[tuple[str, str]] = []

    async def hidden(self, name: str) -> Documents:
        return self.kept.setdefault(name, Documents())

    def report(self, error: str, message: str, details: Any = None) -> None:
        self.reported.append((error, message))


class Compiler:
    def value(self, written: Any) -> Any:
        return compile_value(written)

    def output(self, body: dict[str, Any]) -> Any:
        def store(frame: Frame, value: Any) -> None:
            frame.locals["out"] = value
        return store


async def run(frame: Frame, **body: Any) -> Any:
    waiting = module.build(body, (), Compiler())(frame)
    if waiting is not None:
        await waiting
    return frame.locals.get("out")


async def test_a_function_without_memory_does_not_wait() -> None:
    frame = Frame()
    step = module.build({"module": "crypto", "function": "md5", "parameters": {"data": "{{d}}"}}, (), Compiler())
    assert step(frame) is None and frame.locals["out"] == "900150983cd24fb0d6963f7d28e17f72"


@pytest.mark.parametrize(("body", "message"), [
    ({"module": "cryto", "function": "md5"}, 'no module. Did you mean "crypto"'),
    ({"module": "crypto", "function": "sha265"}, 'no function of crypto. Did you mean "sha256"'),
    ({"module": "crypto", "function": "zzzz"}, "no function of crypto"),
    ({}, "no module"), ({"module": ["x"], "function": "md5"}, "no module"), ({"module": "crypto", "function": {"a": 1}}, "no function"),
    ({"module": "crypto", "function": "md5", "onError": "brake", "parameters": {"data": ""}}, 'Did you mean "break"'),
])
async def test_unknown_names_say_what_was_meant(body: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInstruction) as caught:
        await run(Frame(), **body)
    assert message in caught.value.message


@pytest.mark.parametrize("on_error", [None, "break", "throw"])
async def test_an_error_stops_the_automation(on_error: str | None) -> None:
    with pytest.raises(InvalidInstruction, match="data is missing"):
        await run(Frame(), module="crypto", function="md5", onError=on_error)


async def test_an_error_may_be_the_output_or_an_event() -> None:
    frame = Frame()
    output = await run(frame, module="crypto", function="md5", onError="continue")
    assert output == {"error": "InvalidInstructionError", "message": "Invalid run instruction : data is missing", "details": {"parameter": "data"}}
    frame.locals.clear()
    assert await run(frame, module="crypto", function="md5", onError="emit") is None
    assert frame.reported == [("InvalidInstructionError", "Invalid run instruction : data is missing")]


async def test_what_a_module_keeps_is_there_on_the_next_run() -> None:
    frame = Frame()
    await run(frame, module="collections", function="create", parameters={"collection": "c", "data": {"v": "{{d}}"}})
    found = await run(frame, module="collections", function="findMany", parameters={"collection": "c"})
    assert [item["v"] for item in found] == ["abc"] and list(frame.kept) == ["collections"]
    assert (await run(frame, module="secrets", function="set", parameters={"name": "n", "value": "v"})).startswith("$secret:")
    assert await run(frame, module="collections", function="create", parameters={"collection": "c"}, onError="continue") == {
        "error": "InvalidInstructionError", "message": "Invalid run instruction : an item must be a map", "details": {"parameter": "data"}}
