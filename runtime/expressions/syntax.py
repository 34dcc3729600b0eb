"""Tokens become a tree. One level of `and`/`or`, then equality, order, sums, products; see PRECEDENCE."""
from __future__ import annotations

from runtime.errors import ExpressionError
from runtime.expressions.braces import Block, Group, Part, split
from runtime.expressions.limits import check_depth
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
from runtime.expressions.paths import parse_path, steps
from runtime.expressions.tokens import OPERATOR_WORDS, Token, details, invalid, tokenize
from runtime.values import UNDEFINED

_LOGIC, _EQUALITY, _ORDER, _SUM, _PRODUCT = range(5)

PRECEDENCE: dict[str, int] = {
    "and": _LOGIC, "&&": _LOGIC, "or": _LOGIC, "||": _LOGIC,
    "=": _EQUALITY, "==": _EQUALITY, "===": _EQUALITY, "equals": _EQUALITY, "!=": _EQUALITY, "!==": _EQUALITY,
    "matches": _EQUALITY, "in": _EQUALITY, "exists": _EQUALITY,
    "not equals": _EQUALITY, "not matches": _EQUALITY, "not in": _EQUALITY, "not exists": _EQUALITY,
    "<": _ORDER, "<=": _ORDER, ">": _ORDER, ">=": _ORDER,
    "+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "%": _PRODUCT}
"""Operator → level, loosest first. Logic, equality and order associate to the right, arithmetic to the left."""

_CONSTANTS = {"true": True, "false": False, "null": None, "undefined": UNDEFINED}
_PLACE = "\0"
"""Stands for a nested value while the name around it is parsed."""


def parse_expression(source: str, depth: int = 0) -> Node:
    """The tree of a whole expression. `depth` is how deep it stands already."""
    try:
        return _Parser(source, depth).whole()
    except ExpressionError as error:
        if error.details is None:
            error.details = details(source)
        raise


def parse_part(part: Group | Block, depth: int = 0) -> Node:
    """The tree of one template of a text."""
    return parse_expression(part.source, depth) if type(part) is Block else _reference(part, depth)


def parse_text(parts: tuple[Part, ...], depth: int = 0) -> Text:
    return Text(tuple(part if type(part) is str else parse_part(part, depth) for part in parts))


def _reference(group: Group, depth: int) -> Node:
    check_depth(depth + group.depth)
    if all(type(part) is str for part in group.parts):
        return Variable(parse_path("".join(group.parts)))
    name = parse_text(group.parts, depth + 1)
    return _indirect(name) or Named(name)


def _indirect(name: Text) -> Indirect | None:
    """The keys of a name, if every nested value in it stands for whole keys."""
    outline = "".join(part if type(part) is str else _PLACE for part in name.parts)
    nodes = [part for part in name.parts if type(part) is not str]
    if outline.count(_PLACE) != len(nodes):
        return None
    keys: list[str | int | Inner] = []
    for key, in_brackets in steps(outline):
        if key == _PLACE:
            keys.append(Inner(nodes.pop(0), in_brackets))
        elif type(key) is str and _PLACE in key:
            return None
        else:
            keys.append(key)
    return Indirect(tuple(keys))


class _Parser:
    """Recursive descent by precedence climbing; `_depth` bounds the recursion."""

    def __init__(self, source: str, depth: int) -> None:
        self._source = source
        self._tokens = tokenize(source)
        self._index = 0
        self._depth = depth

    def whole(self) -> Node:
        node = self._expression(_LOGIC)
        if self._token.kind != "end":
            raise self._unexpected()
        return node

    @property
    def _token(self) -> Token:
        return self._tokens[self._index]

    def _take(self) -> Token:
        token = self._tokens[self._index]
        self._index += 1
        return token

    def _is_sign(self, sign: str) -> bool:
        token = self._token
        return token.kind == "sign" and token.value == sign

    def _accept(self, sign: str) -> bool:
        found = self._is_sign(sign)
        self._index += found
        return found

    def _expect(self, sign: str) -> None:
        if not self._accept(sign):
            raise self._unexpected()

    def _unexpected(self) -> ExpressionError:
        token = self._token
        if token.kind == "end":
            return invalid("it ends too early", self._source)
        return invalid(f"unexpected {token.value!r} at position {token.at}", self._source)

    def _operator(self) -> str:
        """The operator at this place, in lower case; empty when there is none."""
        token = self._token
        if token.kind == "sign":
            return token.value if token.value in PRECEDENCE else ""
        if token.kind != "word":
            return ""
        word = token.value.lower()
        if word == "not":
            following = self._tokens[self._index + 1]
            word = f"not {following.value.lower()}" if following.kind == "word" else ""
        return word if word in PRECEDENCE else ""

    def _skip(self, operator: str) -> None:
        self._index += 2 if operator.startswith("not ") else 1

    def _expression(self, minimum: int) -> Node:
        self._depth += 1
        check_depth(self._depth)
        node = self._unary()
        while operator := self._operator():
            level = PRECEDENCE[operator]
            if level < minimum:
                break
            if level == _LOGIC:
                node = self._logic(node)
            elif level >= _SUM:
                node = self._arithmetic(node, level)
            else:
                self._skip(operator)
                node = self._relation(operator, node, level)
        self._depth -= 1
        return node

    def _logic(self, first: Node) -> Node:
        operands, is_and = [first], []
        while (operator := self._operator()) and PRECEDENCE[operator] == _LOGIC:
            self._skip(operator)
            is_and.append(operator in ("and", "&&"))
            operands.append(self._expression(_EQUALITY))
        return Logic(tuple(operands), tuple(is_and))

    def _arithmetic(self, first: Node, level: int) -> Node:
        rest = []
        while (operator := self._operator()) and PRECEDENCE[operator] == level:
            self._skip(operator)
            rest.append((operator, self._expression(level + 1)))
        return Arithmetic(first, tuple(rest))

    def _relation(self, operator: str, left: Node, level: int) -> Node:
        word = operator.removeprefix("not ")
        negated = word != operator or operator.startswith("!")
        node: Node
        if word == "exists":
            node = Exists(left)
        elif word == "matches" and self._token.kind == "regex":
            node = MatchesRegex(left, parse_text(split(self._take().value), self._depth))
        else:
            right = self._expression(level)
            node = Matches(left, right) if word == "matches" else Compare(_MEANING.get(word, word), left, right)
        return Not(node) if negated else node

    def _unary(self) -> Node:
        negations = 0
        while self._is_sign("!") or (self._token.kind == "word" and self._token.value.lower() == "not"):
            self._index += 1
            negations += 1
        node = self._primary()
        if negations:
            node = Not(node) if negations % 2 else Not(Not(node))
        return node

    def _primary(self) -> Node:
        token = self._token
        if token.kind == "sign":
            return self._bracketed()
        if token.kind == "word":
            return self._word()
        self._index += 1
        if token.kind == "reference":
            return self._variable(token)
        if token.kind in ("number", "text"):
            return Constant(token.value)
        self._index -= 1
        raise self._unexpected()

    def _variable(self, token: Token) -> Node:
        parts = split(token.value)
        if len(parts) != 1 or type(parts[0]) is not Group:
            raise invalid(f"{token.value!r} is no variable", self._source)
        return _reference(parts[0], self._depth)

    def _word(self) -> Node:
        word = self._token.value
        lower = word.lower()
        if lower in OPERATOR_WORDS:
            raise self._unexpected()
        self._index += 1
        if self._accept("("):
            return self._call(word)
        return Constant(_CONSTANTS.get(lower, word))

    def _bracketed(self) -> Node:
        if self._accept("("):
            node = self._expression(_LOGIC)
            self._expect(")")
            return node
        if self._accept("{%"):
            node = self._expression(_LOGIC)
            self._expect("%}")
            return node
        if self._accept("["):
            return ListOf(self._list("]"))
        if self._accept("{"):
            return self._map()
        raise self._unexpected()

    def _list(self, closing: str) -> tuple[Node, ...]:
        items: list[Node] = []
        while not self._accept(closing):
            if items:
                self._expect(",")
                if self._accept(closing):         # a trailing comma
                    break
            items.append(self._expression(_LOGIC))
        return tuple(items)

    def _map(self) -> Node:
        members: dict[str, Node] = {}
        while not self._accept("}"):
            if members:
                self._expect(",")
                if self._accept("}"):
                    break
            key = self._token
            if key.kind not in ("word", "text", "number"):
                raise self._unexpected()
            self._index += 1
            self._expect(":")
            members[str(key.value)] = self._expression(_LOGIC)
        return MapOf(tuple(members.items()))

    def _call(self, name: str) -> Node:
        arguments = self._list(")")
        fields: list[str] = []
        while self._accept("."):
            if self._token.kind != "word":
                raise self._unexpected()
            fields.append(self._take().value)
        return Call(name, arguments, tuple(fields))


_MEANING = {"=": "loose", "==": "loose", "equals": "loose", "===": "strict", "!=": "strict", "!==": "strict"}
