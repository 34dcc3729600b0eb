"""Documents become closures: each instruction is turned into a step once, and a run only calls steps.

An instruction that cannot be compiled becomes a step that raises, because a document with a fault in a branch nobody takes must run.
"""
from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import Any

from runtime.errors import AutomationsError, InvalidInstruction, VariableNameError
from runtime.expressions import Evaluate, compile_condition, compile_value, constant, constant_of
from runtime.instructions import INSTRUCTIONS, call
from runtime.instructions.step import At, Break, Frame, Outcome, Step, Store
from runtime.language.variables import compile_write
from runtime.values import UNDEFINED
from store.changes import Unapplicable

_VARYING = object()
_MEASURED = frozenset(("fetch", "emit", "wait"))
_NO_ATTRIBUTES: dict[str, str] = {}


class Compiler:
    """What an instruction may ask for while it is built."""

    def __init__(self, *, reexpand: bool = False) -> None:
        self._reexpand = reexpand

    def value(self, written: Any) -> Evaluate:
        """Interpolates a whole nested value."""
        return compile_value(written, reexpand=self._reexpand)

    def recomputed(self, written: Any) -> Evaluate:
        """Like `value`, for what is asked again and again."""
        return compile_value(written, reexpand=self._reexpand)

    def condition(self, text: str) -> Evaluate:
        return compile_condition(text)

    def block(self, instructions: Any, at: At) -> Step:
        """The steps of a `do` list as one step. Raises `InvalidInstruction` when it is no list."""
        if instructions is None:
            return _nothing
        if not isinstance(instructions, list):
            raise InvalidInstruction("Instructions must be a list", {"at": place(at)})
        steps, places = [], []
        for index, instruction in enumerate(instructions):
            if instruction:
                steps.append(self.step(instruction, (*at, index)))
                places.append((*at, index))
        return sequence(tuple(steps), places)

    def step(self, instruction: Any, at: At) -> Step:
        """One instruction: the first key of its map names it, any further key is ignored."""
        try:
            if not isinstance(instruction, dict):
                raise InvalidInstruction(f"An instruction must be a map, not {instruction!r}", {"at": place(at)})
            word, body = next(iter(instruction.items()))
            if body is None and word not in ("break", "comment"):
                raise _no_payload(word)
            if isinstance(body, str) and word != "comment":
                evaluate = self.value(body)
                if constant_of(evaluate, _VARYING) is _VARYING:
                    return _from_data(word, evaluate, at)
            return self.build(word, body, at)
        except AutomationsError as error:
            return raising(error)

    def build(self, word: str, body: Any, at: At) -> Step:
        build = INSTRUCTIONS.get(word)
        step = build(body, (*at, word), self) if build else call.build_named(word, body, (*at, word), self)
        return _measured(word, step) if word in _MEASURED else step

    def entry(self, instruction: Any, at: At) -> tuple[list[Evaluate], Step]:
        """An entry of `all`: what to compute when the `all` starts, and the step that finds it in `frame.ahead`."""
        compiler = _Ahead(reexpand=self._reexpand)
        step = compiler.step(instruction, at)
        return compiler.values, sequence((step,), [at])

    def output(self, body: dict[str, Any]) -> Store:
        """How the result of an instruction reaches the variable named by `output`; undefined leaves it as it was."""
        name = body.get("output")
        if name is None:
            return _discard
        try:
            write = compile_write(self.value(name))
        except AutomationsError:
            return lambda frame, value: _bad_output(frame, name)

        def store(frame: Frame, value: Any) -> None | Awaitable[None]:
            if value is UNDEFINED:
                return None
            try:
                return write(frame, "replace", value)
            except (VariableNameError, InvalidInstruction, Unapplicable):
                return _bad_output(frame, name)
        return store


class _Ahead(Compiler):
    """Builds one instruction whose values are computed before it starts. The instructions inside it compute theirs when they run."""

    def __init__(self, *, reexpand: bool) -> None:
        super().__init__(reexpand=reexpand)
        self.values: list[Evaluate] = []

    def value(self, written: Any) -> Evaluate:
        evaluate = super().value(written)
        if constant_of(evaluate, _VARYING) is not _VARYING:
            return evaluate
        index = len(self.values)
        self.values.append(evaluate)
        return lambda frame: frame.ahead[index]

    def block(self, instructions: Any, at: At) -> Step:
        return Compiler(reexpand=self._reexpand).block(instructions, at)


class _Data(Compiler):
    """Builds an instruction from a value: whatever braces it holds are text, and it brings no instructions along."""

    def value(self, written: Any) -> Evaluate:
        return constant(written)

    recomputed = value

    def condition(self, text: str) -> Evaluate:
        raise _not_written()

    def block(self, instructions: Any, at: At) -> Step:
        if instructions:
            raise _not_written()
        return _nothing

    def entry(self, instruction: Any, at: At) -> tuple[list[Evaluate], Step]:
        raise _not_written()


def _from_data(word: str, evaluate: Evaluate, at: At) -> Step:
    """An instruction whose parameters are one template: `child: '{{arguments}}'`. They are known when it is reached."""
    def run(frame: Frame) -> Outcome | Awaitable[Outcome]:
        body = evaluate(frame)
        if body is None or body is UNDEFINED:
            raise _no_payload(word)
        return _Data().build(word, body, at)(frame)
    return run


def _no_payload(word: str) -> InvalidInstruction:
    return InvalidInstruction(f"Invalid {word} instruction : undefined or null payload", {"instructionName": word})


def _measured(word: str, step: Step) -> Step:
    """The step, as a span of its own for those who collect spans."""
    def run(frame: Frame) -> Outcome | Awaitable[Outcome]:
        spans = frame.spans
        return step(frame) if spans is None else spans.around(word, _NO_ATTRIBUTES, partial(step, frame))
    return run


def _not_written() -> InvalidInstruction:
    return InvalidInstruction("Instructions stand in the document, a variable cannot bring them", {})


def place(at: At) -> str:
    return ".".join(str(part) for part in at)


def raising(error: AutomationsError) -> Step:
    """A step that fails when it is reached. Each run gets an error of its own."""
    def fail(frame: Frame) -> Outcome:
        raise type(error)(error.message, error.details, where=error.where, hint=error.hint, wire=error.wire)
    return fail


def sequence(steps: tuple[Step, ...], places: list[At]) -> Step:
    """Steps one after another, as one step. An error learns which instruction it came from."""
    if not steps:
        return _nothing

    def run(frame: Frame) -> Outcome | Awaitable[Outcome]:
        index = 0
        try:
            for step in steps:
                outcome = step(frame)
                if outcome is not None:
                    return outcome if type(outcome) is Break else later(frame, outcome, index)
                index += 1
        except AutomationsError as error:
            error.where = error.where or place(places[index])
            raise
        return None

    async def later(frame: Frame, pending: Awaitable[Outcome], index: int) -> Outcome:
        """The rest of the sequence, from the first step that had to wait."""
        try:
            outcome = await pending
            while outcome is None:
                index += 1
                if index == len(steps):
                    return None
                outcome = steps[index](frame)
                if outcome is not None and type(outcome) is not Break:
                    outcome = await outcome
            return outcome
        except AutomationsError as error:
            error.where = error.where or place(places[index])
            raise
    return run


def _nothing(frame: Frame) -> Outcome:
    return None


def _discard(frame: Frame, value: Any) -> None:
    return None


def _bad_output(frame: Frame, name: Any) -> None:
    frame.report("InvalidOutputError", f"{name!r} is not the name of a variable", {"output": name})
