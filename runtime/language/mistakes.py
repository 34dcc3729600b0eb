"""What a YAML parser complains about, in words that say what to write instead."""
from __future__ import annotations

import yaml

_AT_CHARACTER = {
    "%": ("a value cannot begin with %", 'Put quotes around a template: "{% … %}"'),
    "\t": ("a tab where spaces are expected", "Indent with spaces"),
    "@": ("a value cannot begin with @", 'Put quotes around it: "@…"'),
    "`": ("a value cannot begin with a backquote", 'Put quotes around it: "`…`"'),
}

_QUOTE_COLON = 'Put quotes around text that holds ": ", and check the indentation of this line'
_SAME_COLUMN = "The keys of one map, and the dashes of one list, stand in the same column"
_KEY_COLON = 'A key is followed by ": " on the same line; put quotes around longer text'
_PHRASES: tuple[tuple[str, str, str], ...] = (
    ("mapping values are not allowed", 'a second ": " in this value, or a line indented too far', _QUOTE_COLON),
    ("could not find expected ':'", "a key without a colon", _KEY_COLON),
    ("block sequence entries are not allowed", "a list cannot begin here", "Begin the list on a line of its own, below its key"),
    ("while parsing a flow sequence", "a list in brackets is not closed, or lacks a comma",
     'Write [a, b]; put quotes around text with "," or "]"'),
    ("while parsing a flow mapping", "a map in braces is not closed, or lacks a comma",
     'Write {a: 1, b: 2}; put quotes around a template: "{{name}}"'),
    ("while parsing a block mapping", "this line does not continue the map above it",
     _SAME_COLUMN + "; text after a quoted text belongs inside its quotes"),
    ("while parsing a block collection", "this line does not continue the list above it", _SAME_COLUMN),
    ("while scanning a quoted scalar", "a text in quotes is not closed", "Add the closing quote"),
    ("while scanning a simple key", "a key without a colon", _KEY_COLON),
    ("while scanning an alias", "* begins an alias, and none of that kind", 'Put quotes around text that begins with *: "*/5"'),
    ("while scanning an anchor", "& begins an anchor, and none of that kind", 'Put quotes around text that begins with &: "&…"'),
    ("while scanning a block scalar", "an unusual mark after | or >", "Begin the text on the next line, indented with spaces"),
    ("document start", "text after the end of the document", "Write one map; put quotes around text that begins with { or ["),
)
"""Looked for in the problem first, then in its context: both YAML parsers use these words."""

_ESCAPE = ("a backslash sequence that does not exist", "Between single quotes a backslash is plain text: 'C:\\dir'")


def explain(error: yaml.MarkedYAMLError, text: str) -> tuple[str, str]:
    """(what is wrong, what to write instead)."""
    complaint, context = error.problem or "", error.context or ""
    if "cannot start any token" in complaint and error.problem_mark is not None:
        character = text[error.problem_mark.index:error.problem_mark.index + 1]
        return _AT_CHARACTER.get(character, (f'a value cannot begin with "{character}"', "Put quotes around it"))
    if "escape" in complaint:
        return _ESCAPE
    for where in (complaint, context):
        for phrase, message, hint in _PHRASES:
            if phrase in where:
                return message, hint
    return complaint or context or "the text does not follow the rules of YAML", ""


def place_of(error: yaml.MarkedYAMLError, text: str) -> tuple[int, int]:
    """Zero-based line and column; where the text merely ends, or a colon is missed later on, the beginning of what began there."""
    mark = error.problem_mark
    if error.context_mark is not None and (
            mark is None or "expected ':'" in (error.problem or "") or not text[mark.index:].strip()):
        mark = error.context_mark
    return (mark.line, mark.column) if mark is not None else (0, 0)
