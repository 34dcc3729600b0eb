"""The syntax tree of templates and expressions: what was written, not yet how to compute it."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runtime.expressions.paths import Key, Path


@dataclass(frozen=True, slots=True)
class Constant:
    value: Any


@dataclass(frozen=True, slots=True)
class Variable:
    """`{{a.b[0]}}`"""

    path: Path


@dataclass(frozen=True, slots=True)
class Inner:
    """A nested value among the keys of a name. In brackets it is one key, elsewhere it may be several: `a.b`."""

    node: Node
    is_key: bool


@dataclass(frozen=True, slots=True)
class Indirect:
    """`{{a[{{b}}].c}}`"""

    keys: tuple[Key | Inner, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """Text with values inside."""

    parts: tuple[str | Node, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """`{{prefix_{{b}}}}`: the text is the name of the variable."""

    name: Text


@dataclass(frozen=True, slots=True)
class Not:
    operand: Node


@dataclass(frozen=True, slots=True)
class Exists:
    operand: Node


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`first`, then sign and operand one after another, left to right; all of one level."""

    first: Node
    rest: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Logic:
    """Operands joined by `and` and `or`, one level, right associative: `is_and[n]` stands between n and n+1."""

    operands: tuple[Node, ...]
    is_and: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """`sign` is one of < <= > >=, or `loose`, `strict` or `in`."""

    sign: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Matches:
    """`pattern` computes a regular expression or a list of them."""

    operand: Node
    pattern: Node


@dataclass(frozen=True, slots=True)
class MatchesRegex:
    """`x matches regex(…)`."""

    operand: Node
    pattern: Text


@dataclass(frozen=True, slots=True)
class Call:
    """`name(arguments).field.more`"""

    name: str
    arguments: tuple[Node, ...]
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class MapOf:
    members: tuple[tuple[str, Node], ...]


Node = (Constant | Variable | Indirect | Named | Text | Not | Exists | Arithmetic | Logic | Compare | Matches
        | MatchesRegex | Call | ListOf | MapOf)
