"""How many different ones, and how they are spread: exact for a few values, close for many, in bounded room."""
from __future__ import annotations

from bisect import bisect_right
from hashlib import blake2b
from math import log

_EXACT = 2048
_BITS = 14                              # 16 384 registers: off by less than one in a hundred, mostly
_REGISTERS = 1 << _BITS
_ALPHA = 0.7213 / (1 + 1.079 / _REGISTERS)
_BUFFERED = 2048
_FINENESS = 200


class Distinct:
    """Counts different texts: the first few thousand exactly, more of them by HyperLogLog."""

    __slots__ = ("_few", "_registers")

    def __init__(self) -> None:
        self._few: set[int] = set()
        self._registers: bytearray | None = None

    def add(self, text: str) -> None:
        hashed = int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "big")
        if self._registers is not None:
            self._mark(self._registers, hashed)
            return
        self._few.add(hashed)
        if len(self._few) > _EXACT:
            self._registers = bytearray(_REGISTERS)
            for one in self._few:
                self._mark(self._registers, one)
            self._few.clear()

    def count(self) -> int:
        if self._registers is None:
            return len(self._few)
        estimate = _ALPHA * _REGISTERS ** 2 / sum(2.0 ** -rank for rank in self._registers)
        empty = self._registers.count(0)
        return round(_REGISTERS * log(_REGISTERS / empty) if empty and estimate <= 2.5 * _REGISTERS else estimate)

    @staticmethod
    def _mark(registers: bytearray, hashed: int) -> None:
        place = hashed & (_REGISTERS - 1)
        rank = 64 - _BITS - (hashed >> _BITS).bit_length() + 1
        if rank > registers[place]:
            registers[place] = rank


class Quantiles:
    """A digest of numbers: as they are while they are few, then as clusters that are small at both ends and larger in between."""

    __slots__ = ("_buffer", "_clusters", "_least", "_most")

    def __init__(self) -> None:
        self._buffer: list[float] = []
        self._clusters: list[tuple[float, float]] = []      # (mean, weight)
        self._least, self._most = float("inf"), float("-inf")

    def add(self, number: float) -> None:
        self._buffer.append(number)
        if len(self._buffer) >= _BUFFERED:
            self._compress()

    def at(self, fraction: float) -> float | None:
        """The number that this part of all numbers does not exceed; in between two of them, as far as it is on the way."""
        if not self._clusters:
            numbers = sorted(self._buffer)
            return _between(numbers, list(range(len(numbers))), fraction * (len(numbers) - 1)) if numbers else None
        if self._buffer:
            self._compress()
        places, before = [0.0], 0.0
        for _, weight in self._clusters:
            places.append(before + weight / 2)
            before += weight
        return _between([self._least, *(mean for mean, _ in self._clusters), self._most], [*places, before], fraction * before)

    def _compress(self) -> None:
        self._least, self._most = min(self._least, *self._buffer), max(self._most, *self._buffer)
        pending = sorted([*self._clusters, *((number, 1.0) for number in self._buffer)])
        total = sum(weight for _, weight in pending)
        merged: list[tuple[float, float]] = []
        before, (mean, weight) = 0.0, pending[0]
        for other, more in pending[1:]:
            middle = (before + (weight + more) / 2) / total
            if weight + more <= max(1.0, 4 * total * middle * (1 - middle) / _FINENESS):
                weight += more
                mean += (other - mean) * more / weight
            else:
                merged.append((mean, weight))
                before += weight
                mean, weight = other, more
        self._clusters, self._buffer = [*merged, (mean, weight)], []


def _between(numbers: list[float], places: list[float], place: float) -> float:
    """What stands at a place, if these numbers stand at those."""
    index = min(max(bisect_right(places, place) - 1, 0), len(numbers) - 1)
    if index == len(numbers) - 1 or places[index] == place:
        return numbers[index]
    share = (place - places[index]) / (places[index + 1] - places[index])
    return numbers[index] + (numbers[index + 1] - numbers[index]) * share
