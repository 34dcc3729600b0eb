"""A call of another automation, by its name as the instruction or as data (`runWorkflow`)."""
from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from runtime.errors import AutomationsError, InvalidInstruction
from runtime.instructions.body import as_map, required
from runtime.instructions.step import At, Break, Frame, Outcome, Step
from runtime.values import UNDEFINED, copy


def build_named(slug: str, body: Any, at: At, c: Any) -> Step:
    """`slug: {argument: value, output: variable}`. The callee sees all of it, `output` included."""
    if not isinstance(body, dict):
        body = {}
    arguments, store = c.value(body), c.output(body)

    def run(frame: Frame) -> Outcome | Awaitable[Outcome]:
        return _finish(frame, frame.call(slug, copy(arguments(frame))), store)
    return run


def build_workflow(body: Any, at: At, c: Any) -> Step:
    body = as_map("runWorkflow", body)
    slug, parameters = c.value(required("runWorkflow", body, "workflow")), c.value(body.get("parameters"))
    waits, store = c.value(body.get("wait", True)), c.output(body)

    def run(frame: Frame) -> Outcome | Awaitable[Outcome]:
        name, arguments = slug(frame), parameters(frame)
        if not isinstance(name, str):
            raise InvalidInstruction("Invalid runWorkflow instruction : workflow must be the slug of an automation", {"workflow": name or None})
        arguments = copy(arguments) if isinstance(arguments, dict) else {}
        if waits(frame) is not False:
            return _finish(frame, frame.call(name, arguments), store)
        _start(frame.branch(), name, arguments)
        return None
    return run


def _finish(frame: Frame, result: Any, store: Any) -> Outcome | Awaitable[Outcome]:
    if hasattr(result, "__await__"):
        return _later(frame, result, store)
    return result if type(result) is Break else store(frame, result)


async def _later(frame: Frame, pending: Awaitable[Any], store: Any) -> Outcome:
    result = await pending
    if type(result) is Break:
        return result
    storing = store(frame, result)
    if storing is not None:
        await storing
    return None


def _start(frame: Frame, name: str, arguments: dict[str, Any]) -> None:
    """Without waiting: its failure is its own, as that of a listener would be."""
    async def alone(pending: Awaitable[Any]) -> None:
        try:
            await pending
        except AutomationsError as error:
            frame.report(error.wire, error.message, error.details)
    try:
        pending = frame.call(name, arguments)
    except AutomationsError as error:
        frame.report(error.wire, error.message, error.details)
        return
    if pending is not UNDEFINED and hasattr(pending, "__await__"):
        frame.hold(alone(pending))
