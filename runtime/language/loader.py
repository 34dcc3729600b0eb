"""Strict YAML 1.2, and so JSON, to plain data with positions: sizes are bounded before anything is believed.

Refused: duplicate keys, keys that are no text, the merge key `<<` (it belongs to YAML 1.1), tags other than those of the
core schema, several documents, aliases that repeat much text. A key is the text that is written: `1:` is "1".
"""
from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol

import yaml

try:
    from yaml.cyaml import CParser as Parser
except ImportError:  # a PyYAML built without libyaml: the same events, some twenty times slower
    from yaml import BaseLoader as Parser

from runtime.errors import InvalidAutomation
from runtime.language.construction import Construction
from runtime.language.mistakes import explain, place_of
from runtime.language.problems import Problem, refusal
from runtime.language.source import Mark, Source

MAX_BYTES = 5 * 1024 * 1024

_UNPRINTABLE = re.compile("[^\t\n\r -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What YAML does not allow, and the line separators of YAML 1.1, which the parsers would fold into blanks."""
_TAG_DIRECTIVE = re.compile("(?:^|[\n\r])%TAG")
_SURROGATES = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


class EventParser(Protocol):
    def get_event(self) -> Any:
        """The next event, or None after the last one."""


def load(text: str | bytes, *, name: str = "document", parser: Callable[[str], EventParser] = Parser) -> Source:
    """Read one document. Raises `InvalidAutomation`, and nothing else, for whatever is wrong with it."""
    text = _decoded(text, name)
    construction = Construction(name)
    build = construction.builders()
    try:
        for event in iter(parser(text).get_event, None):
            build[event.__class__](event)
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error, text, name) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # Escapes and tags of characters that do not exist surface as ValueError from the parsers.
        raise _refusal("not-yaml", f"the text cannot be read: {error}", Mark(name)) from None
    return construction.source()


def _decoded(text: str | bytes, name: str) -> str:
    """The text without byte order mark, once its size and each of its characters are known to be harmless."""
    if len(text) > MAX_BYTES or isinstance(text, str) and len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise _refusal("too-large", f"a document has at most {MAX_BYTES} bytes", Mark(name), "Split it into several documents")
    if not isinstance(text, str):
        try:
            text = bytes(text).decode()
        except UnicodeDecodeError as error:
            before = error.object[:error.start].decode()
            raise _refusal("bad-encoding", "these bytes are not UTF-8", _mark_after(before, name), "Save the file as UTF-8") from None
    text = text.removeprefix("\ufeff")
    if found := _UNPRINTABLE.search(text):
        raise _refusal("bad-character", f"a control character (U+{ord(found[0]):04X})", _mark_after(text[:found.start()], name),
                       "Remove it, or write it as an escape between double quotes")
    # Custom tags are refused anyway, and libyaml compares each %TAG line with all before it.
    if found := _TAG_DIRECTIVE.search(text):
        raise _refusal("unknown-tag", "%TAG declares tags, which are not supported", _mark_after(text[:found.end() - 4], name),
                       "Remove the line")
    return _with_pairs_joined(text)


def _with_pairs_joined(text: str) -> str:
    r"""JSON writes one rare character as two escapes (`\ud83d\ude00`), which YAML does not know."""
    if "\\u" not in text or not text.lstrip().startswith(("{", "[")):
        return text
    return _SURROGATES.sub(lambda pair: bytes.fromhex(pair[1] + pair[2]).decode("utf-16-be"), text)


def _not_yaml(error: yaml.MarkedYAMLError, text: str, name: str) -> InvalidAutomation:
    message, hint = explain(error, text)
    line, column = place_of(error, text)
    return _refusal("not-yaml", message, Mark(name, line + 1, column + 1), hint)


def _mark_after(before: str, name: str) -> Mark:
    return Mark(name, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _refusal(code: str, message: str, mark: Mark, hint: str = "") -> InvalidAutomation:
    return refusal([Problem(code, message, (), mark, hint and hint + ".")])
