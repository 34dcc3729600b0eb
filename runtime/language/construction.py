"""Plain data from YAML events, with the place of everything: a stack instead of recursion, and a count of all it builds."""
from __future__ import annotations

import re
from collections.abc import Callable
from sys import intern
from typing import Any, NamedTuple

import yaml

from runtime.language.problems import Problem, refusal
from runtime.language.scalars import Scalar, resolve
from runtime.language.source import COLUMN_BITS, Path, Source, mark_of
from runtime.values import copy

MAX_DEPTH = 100
MAX_NODES = 1_000_000
MAX_REPEATED = 1_000_000
"""What all aliases together may add: one for each node, one for each character."""

_TAGS = "tag:yaml.org,2002:"
_SCALAR_TAGS: dict[str, tuple[type, ...]] = {
    "int": (int,), "float": (float, int), "bool": (bool,), "null": (type(None),)}
_SURROGATE = re.compile("[\ud800-\udfff]")


class _Anchored(NamedTuple):
    value: Any
    places: Any
    text: str | None
    """What is written, for an alias that stands as a key; None for a collection."""
    weight: int


class _Outer(NamedTuple):
    """A collection that is still open while one inside it is filled."""

    items: Any
    places: list[Any]
    key: str | None
    anchor: str | None
    weight: int


class Construction:
    """Takes the events of one document, one after another."""

    __slots__ = ("name", "items", "places", "key", "outer", "anchor", "weight", "began", "nodes", "repeated", "anchors")

    def __init__(self, name: str) -> None:
        self.name = name
        self.items: Any = []
        self.places: list[Any] = [0]
        self.key: str | None = None
        self.outer: list[_Outer] = []
        self.anchor: str | None = None
        self.weight = self.began = self.nodes = self.repeated = 0
        self.anchors: dict[str, _Anchored] = {}

    def builders(self) -> dict[type, Callable[[Any], None]]:
        """Which method takes which kind of event."""
        return {
            yaml.ScalarEvent: self.scalar, yaml.AliasEvent: self.alias,
            yaml.MappingStartEvent: self.open, yaml.SequenceStartEvent: self.open,
            yaml.MappingEndEvent: self.close, yaml.SequenceEndEvent: self.close,
            yaml.DocumentStartEvent: self.begin, yaml.DocumentEndEvent: _ignore,
            yaml.StreamStartEvent: _ignore, yaml.StreamEndEvent: _ignore}

    def source(self) -> Source:
        """The finished document; an empty one is null."""
        if not self.items:
            return Source(None, self.name, 0)
        return Source(self.items[0], self.name, self.places[1])

    def begin(self, event: Any) -> None:
        if self.items:
            self.fail("many-documents", "a second document begins here", event, "Keep one document a file, without a second ---")

    def scalar(self, event: Any) -> None:
        text = event.value
        self.count(1 + len(text), event)
        mark = event.start_mark
        spot = mark.line << COLUMN_BITS | mark.column
        if self.key is None and self.items.__class__ is dict:
            if event.tag is not None:
                self.value_of(event)
            elif text == "<<" and event.implicit[0]:
                self.fail("merge-key", "<< merges maps in YAML 1.1 only", event, 'Write the keys out; as a plain key it is "<<"')
            self.take_key(text, spot, event)
            value: Any = text
        else:
            value = resolve(text) if event.implicit[0] and event.tag is None else self.value_of(event)
            self.put(value, spot)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchored(value, spot, text, 1 + len(text))

    def take_key(self, text: str, spot: int, event: Any) -> None:
        if text in self.items:
            first = self.places[2 * list(self.items).index(text) + 1]
            self.fail("duplicate-key", f'"{text[:60]}" is already written at {mark_of(self.name, first)}', event,
                      "Keep one of them; several instructions are several items of the list")
        self.key = intern(text)
        self.places.append(spot)

    def put(self, value: Any, places: Any) -> None:
        if self.items.__class__ is list:
            self.items.append(value)
        else:
            self.items[self.key] = value
            self.key = None
        self.places.append(places)

    def open(self, event: Any) -> None:
        self.count(1, event)
        kind: type = dict if event.__class__ is yaml.MappingStartEvent else list
        if self.key is None and self.items.__class__ is dict:
            self.fail("bad-key", "a key must be a text", event, 'Put quotes around a template: "{{name}}"')
        if len(self.outer) >= MAX_DEPTH:
            self.too_deep(event)
        if event.tag not in (None, "!", _TAGS + ("map" if kind is dict else "seq")):
            self.unknown_tag(event)
        self.outer.append(_Outer(self.items, self.places, self.key, self.anchor, self.began))
        self.anchor, self.began = event.anchor, self.weight - 1
        # An alias inside its own anchor must not find an earlier one of that name.
        self.anchors.pop(event.anchor, None)
        mark = event.start_mark
        self.items, self.places, self.key = kind(), [mark.line << COLUMN_BITS | mark.column], None

    def close(self, event: Any) -> None:
        value, places = self.items, self.places
        if self.anchor is not None:
            self.anchors[self.anchor] = _Anchored(value, places, None, self.weight - self.began)
        self.items, self.places, self.key, self.anchor, self.began = self.outer.pop()
        self.put(value, places)

    def alias(self, event: Any) -> None:
        """Put a copy: whoever changes one place of the data does not change the other."""
        anchored = self.anchors.get(event.anchor)
        if anchored is None:
            word = event.anchor[:60]
            self.fail("unknown-alias", f'there is no anchor "&{word}" before this alias', event,
                      f'Put quotes around text that begins with *: "*{word}"')
        self.repeated += anchored.weight
        if self.repeated > MAX_REPEATED:
            self.fail("too-many-aliases", f"aliases repeat more than {MAX_REPEATED} characters", event, "Use fewer of them")
        self.count(anchored.weight, event)
        if self.key is None and self.items.__class__ is dict:
            if anchored.text is None:
                self.fail("bad-key", "a key must be a text", event, "An alias of a map or list cannot be a key")
            mark = event.start_mark
            self.take_key(anchored.text, mark.line << COLUMN_BITS | mark.column, event)
        else:
            if anchored.text is None and len(self.outer) + _height(anchored.value) > MAX_DEPTH:
                self.too_deep(event)
            self.put(copy(anchored.value), anchored.places)

    def value_of(self, event: Any) -> Scalar:
        """A scalar with quotes or with a tag."""
        text = event.value
        if not text.isascii() and _SURROGATE.search(text):
            self.fail("bad-character", "half of a character, written as an escape", event, "Write the character itself")
        tag = event.tag
        if tag is None or tag in ("!", _TAGS + "str"):
            return text
        kinds = _SCALAR_TAGS.get(tag.removeprefix(_TAGS)) if tag.startswith(_TAGS) else None
        if kinds is None:
            self.unknown_tag(event)
        value = resolve(text)
        if value.__class__ not in kinds:
            self.fail("unknown-tag", f'"{text[:60]}" is no {tag.removeprefix(_TAGS)}', event, "Remove the tag")
        return float(value) if kinds is _SCALAR_TAGS["float"] else value

    def count(self, weight: int, event: Any) -> None:
        self.nodes += 1
        self.weight += weight
        if self.nodes > MAX_NODES:
            self.fail("too-many-nodes", f"a document has at most {MAX_NODES} values", event, "Split it into several documents")

    def too_deep(self, event: Any) -> None:
        self.fail("too-deep", f"maps and lists are nested at most {MAX_DEPTH} deep", event,
                  "Move the inner part to an automation of its own")

    def unknown_tag(self, event: Any) -> None:
        self.fail("unknown-tag", f'the tag "{event.tag[:60]}" is not supported', event,
                  "Remove it, or put quotes around text that begins with !")

    def fail(self, code: str, message: str, event: Any, hint: str) -> None:
        mark = mark_of(self.name, event.start_mark.line << COLUMN_BITS | event.start_mark.column)
        raise refusal([Problem(code, message, self.path(), mark, hint + ".")])

    def path(self) -> Path:
        """Of the collection being filled, or of the value that its key waits for."""
        levels = [*((outer.items, outer.key) for outer in self.outer[1:]), (self.items, self.key)] if self.outer else []
        return tuple(len(items) if items.__class__ is list else key for items, key in levels if key is not None or items.__class__ is list)


def _height(value: Any) -> int:
    """How deep the maps and lists of `value` are nested."""
    level, height = [value], 0
    while level:
        height += 1
        level = [below for each in level for below in (each.values() if each.__class__ is dict else each)
                 if below.__class__ is dict or below.__class__ is list]
    return height


def _ignore(event: Any) -> None:
    return None
