"""A tree becomes a closure, once; the closure computes the value as often as asked.

Everything that can only fail (a wrong name, pattern or function) fails here, while compiling.
"""
from __future__ import annotations

from typing import Any

from runtime.errors import ExpressionError
from runtime.expressions import operators
from runtime.expressions.coercion import to_text, truthy
from runtime.expressions.functions import find_function
from runtime.expressions.limits import MAX_TEXT, check_text
from runtime.expressions.nodes import (
    Arithmetic,
    Call,
    Compare,
    Constant,
    Exists,
    Indirect,
    Inner,
    ListOf,
    Logic,
    MapOf,
    Matches,
    MatchesRegex,
    Named,
    Node,
    Not,
    Text,
    Variable,
)
from runtime.expressions.paths import CONTEXTS, Evaluate, Key, as_key, compile_path, member, parse_path, read_path
from runtime.expressions.scope import Scope
from runtime.expressions.syntax import parse_expression
from runtime.expressions.tokens import details


def compile_expression(source: str) -> Evaluate:
    """ExpressionError or VariableNameError when it does not parse, or can never be evaluated."""
    try:
        return compile_node(parse_expression(source), source)
    except ExpressionError as error:
        if error.details is None:
            error.details = details(source)
        raise


def compile_truth(source: str) -> Evaluate:
    """An expression of which only the truth counts: the closure gives true or false."""
    node = parse_expression(source)
    try:
        evaluate = compile_node(node, source)
    except ExpressionError as error:
        if error.details is None:
            error.details = details(source)
        raise
    if _is_boolean(node):
        return evaluate
    return lambda scope: truthy(evaluate(scope))


def compile_node(node: Node, source: str, *, is_outermost: bool = True) -> Evaluate:
    """`source` is the whole text, for the errors of its functions and patterns."""
    match node:
        case Constant(value):
            return operators.constant(value)
        case Variable(path):
            return compile_path(path)
        case Indirect(keys):
            return _indirect(keys, source)
        case Named(name):
            return _named(compile_text(name, source))
        case Text():
            return compile_text(node, source)
        case Not(operand):
            return operators.negation(compile_node(operand, source), is_boolean=_is_boolean(operand))
        case Exists(operand):
            return operators.existence(compile_node(operand, source))
        case Arithmetic(first, rest):
            operands = [(sign, compile_node(operand, source)) for sign, operand in rest]
            return operators.arithmetic(compile_node(first, source), operands)
        case Logic(nodes, is_and):
            return operators.logic([compile_node(operand, source) for operand in nodes], is_and)
        case Compare(sign, left, right):
            return operators.comparison(sign, compile_node(left, source), compile_node(right, source))
        case Matches(operand, pattern):
            evaluate = operators.matching(compile_node(operand, source), compile_node(pattern, source))
            return operators.reporting(evaluate, source)
        case MatchesRegex(operand, pattern):
            evaluate = operators.matching_regex(compile_node(operand, source), compile_text(pattern, source))
            return operators.reporting(evaluate, source)
        case Call():
            return _call(node, source)
        case ListOf(nodes):
            items = [compile_node(item, source, is_outermost=False) for item in nodes]
            return operators.list_of(items, is_outermost=is_outermost)
        case MapOf(pairs):
            members = [(key, compile_node(value, source, is_outermost=False)) for key, value in pairs]
            return operators.map_of(members, is_outermost=is_outermost)
    raise TypeError(node)


def _is_boolean(node: Node) -> bool:
    """Whether a tree gives true or false and nothing else."""
    return isinstance(node, (Not, Exists, Compare, Matches, MatchesRegex))


def _call(node: Call, source: str) -> Evaluate:
    function = find_function(node.name)
    nodes = list(node.arguments[:function.most])
    if function.takes_name and nodes and isinstance(nodes[0], Constant) and type(nodes[0].value) is str:
        nodes[0] = Variable(parse_path(nodes[0].value))
    given = [compile_node(argument, source) for argument in nodes]
    if not function.wants_field:                  # a field behind any other function is ignored
        return operators.reporting(operators.call(function, (), given), source)
    field = node.fields[0] if node.fields else ""
    evaluate = operators.reporting(operators.call(function, (field,), given), source)
    further: list[Key | Evaluate] = [as_key(name) for name in node.fields[1:]]
    return _member_of(evaluate, further) if further else evaluate


def compile_text(text: Text, source: str) -> Evaluate:
    """The parts of a text joined; values become text by `to_text`."""
    parts = [part if type(part) is str else compile_node(part, source) for part in text.parts]
    dynamic = [(index, part) for index, part in enumerate(parts) if type(part) is not str]
    if not dynamic:
        return operators.constant("".join(parts))
    if len(dynamic) == 1:
        index, evaluate = dynamic[0]
        return _around("".join(parts[:index]), evaluate, "".join(parts[index + 1:]))
    skeleton = [part if type(part) is str else "" for part in parts]
    fixed = sum(map(len, skeleton))

    def joined(scope: Scope) -> str:
        made, size = skeleton.copy(), fixed
        for index, evaluate in dynamic:
            value = evaluate(scope)
            if type(value) is not str:
                value = to_text(value)
            made[index] = value
            size += len(value)
            if size > MAX_TEXT:
                check_text(size)
        return "".join(made)
    return joined


def _around(before: str, evaluate: Evaluate, after: str) -> Evaluate:
    room = MAX_TEXT - len(before) - len(after)

    def joined(scope: Scope) -> str:
        value = evaluate(scope)
        if type(value) is not str:
            value = to_text(value)
        if len(value) > room:
            check_text(MAX_TEXT - room + len(value))
        return f"{before}{value}{after}"
    return joined


def _named(name: Evaluate) -> Evaluate:
    return lambda scope: read_path(scope, parse_path(name(scope)))


def _indirect(keys: tuple[Key | Inner, ...], source: str) -> Evaluate:
    """A path with values among its keys. The keys before the first of them are read by a specialised closure."""
    steps = [compile_node(key.node, source) if isinstance(key, Inner) else key for key in keys]
    fixed = next(index for index, step in enumerate(steps) if callable(step))
    if fixed and str(keys[0]) not in CONTEXTS and all(not isinstance(key, Inner) or key.is_key for key in keys):
        return _member_of(compile_path(keys[:fixed]), steps[fixed:])
    several = [isinstance(key, Inner) and not key.is_key for key in keys]

    def read(scope: Scope) -> Any:
        path: list[Key] = []
        for step, may_be_several in zip(steps, several):
            if not callable(step):
                path.append(step)
            elif may_be_several:
                path += parse_path(to_text(step(scope)))
            else:
                path.append(_as_key(step(scope)))
        return read_path(scope, tuple(path))
    return read


def _member_of(parent: Evaluate, steps: list[Key | Evaluate]) -> Evaluate:
    def read(scope: Scope) -> Any:
        value = parent(scope)
        for step in steps:
            value = member(value, _as_key(step(scope)) if callable(step) else step)
        return value
    return read


def _as_key(value: Any) -> Key:
    """The key that a value is: whole numbers are indexes, other values their text. No value is no name."""
    if type(value) is int:
        return value if value >= 0 else str(value)
    return as_key(to_text(value) or parse_path("")[0])
