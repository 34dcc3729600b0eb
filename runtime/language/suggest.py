"""What an author probably meant: the nearest known name, found without comparing with every one.

A name is filed under itself and under each text that one letter less makes of it. Two names that are one insertion,
omission, replacement or swap apart share such a text, so a look-up costs the length of a word whatever the number of names.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

_LONGEST = 40
"""Longer words get no suggestion: nobody mistypes them, and their neighbourhood is large."""


class Names:
    """Known names, and words of other tools for them."""

    __slots__ = ("_filed", "_synonyms")

    def __init__(self, names: Iterable[str] = (), synonyms: Mapping[str, str] | None = None) -> None:
        self._synonyms = synonyms or {}
        self._filed: dict[str, str] = {}
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        if len(name) <= _LONGEST:
            for text in _around(_folded(name)):
                self._filed.setdefault(text, name)

    def near(self, word: str) -> str | None:
        """The known name that `word` is a slip of, or None."""
        if len(word) > _LONGEST:
            return None
        folded = _folded(word)
        synonym = self._synonyms.get(folded)
        if synonym is not None:
            return synonym
        for text in _around(folded):
            name = self._filed.get(text)
            # What both share must be most of the shorter word: "do" is no slip of "on".
            if name is not None and len(text) >= 2:
                return name
        return None


def did_you_mean(word: str, *vocabularies: Names) -> str:
    """`Did you mean "fetch"?` from the first vocabulary that has something near, or an empty text."""
    for names in vocabularies:
        name = names.near(word)
        if name is not None:
            return f'Did you mean "{name}"?'
    return ""


def _folded(word: str) -> str:
    return word.casefold().replace("-", "").replace("_", "").replace(" ", "")


def _around(word: str) -> Iterator[str]:
    yield word
    for index in range(len(word)):
        yield word[:index] + word[index + 1:]
