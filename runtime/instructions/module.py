"""run: a function of one of the modules, such as `crypto` or `collections`."""
from __future__ import annotations

from collections.abc import Awaitable, Iterable
from difflib import get_close_matches
from typing import Any, NoReturn

from runtime.errors import AutomationsError, InvalidInstruction
from runtime.instructions.body import as_map
from runtime.instructions.step import At, Frame, Outcome, Step, Store
from runtime.modules import MODULES, Function, Module
from runtime.modules.around import Around

_ON_ERROR = ("break", "throw", "emit", "continue")


def build(body: Any, at: At, c: Any) -> Step:
    body = as_map("run", body)
    parameters = c.value({name: value for name, value in body.items() if name != "output"})
    store = c.output(body)

    def run(frame: Frame) -> Outcome | Awaitable[Outcome]:
        given = parameters(frame)
        module, function = _find(given.get("module"), given.get("function"))
        on_error = given.get("onError") or "break"
        if on_error not in _ON_ERROR:
            _unknown("onError", on_error, _ON_ERROR)
        if module.keeps:
            return _with_document(frame, module.keeps, function, given, on_error=on_error, store=store)
        return _apply(frame, function, given, None, on_error=on_error, store=store)
    return run


def _find(module: Any, function: Any) -> tuple[Module, Function]:
    if type(module) is not str or module not in MODULES:
        _unknown("module", module, MODULES)
    functions = MODULES[module].functions
    if type(function) is not str or function not in functions:
        _unknown(f"function of {module}", function, functions)
    return MODULES[module], functions[function]


def _unknown(what: str, name: Any, known: Iterable[str]) -> NoReturn:
    near = get_close_matches(str(name), known, 1)
    hint = f'. Did you mean "{near[0]}"?' if near else ""
    raise InvalidInstruction(f'Invalid run instruction : "{name}" is no {what}{hint}',
                             {"instructionName": "run", "known": list(known)})


async def _with_document(frame: Frame, name: str, function: Function, given: dict[str, Any], *, on_error: str, store: Store) -> None:
    storing = _apply(frame, function, given, await frame.hidden(name), on_error=on_error, store=store)
    if storing is not None:
        await storing


def _apply(frame: Frame, function: Function, given: dict[str, Any], documents: Any, *, on_error: str,
           store: Store) -> None | Awaitable[None]:
    parameters = given.get("parameters")
    around = Around(frame.ids, frame.clock, frame.identity.user_id, documents)
    try:
        value = function(parameters if type(parameters) is dict else {}, around)
    except AutomationsError as error:
        if on_error == "emit":
            frame.report(error.wire, error.message, error.details)
            return None
        if on_error != "continue":
            raise
        value = error.body()
    return store(frame, value)
