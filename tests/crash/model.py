"""What must hold after a crash: pure comparison of what a server had acknowledged with what it holds when it is back."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.crash.victim import HALF_DONE

LISTENER = [{"set": {"name": "global.begun[]", "value": "{{payload.n}}"}},
            {"emit": {"event": HALF_DONE, "payload": {"n": "{{payload.n}}"}, "output": "accepted"}},
            {"set": {"name": "global.heard[]", "value": "{{payload.n}}"}}]
"""It waits for the acceptance of its event, which makes its first write durable: that one may happen again when it did not come to
its end. The last one is in one batch with the end of its delivery."""
WORKSPACE = {
    "name": "Crash", "automations": {
        "write": {"when": {"endpoint": True}, "do": [
            {"set": {"name": "run.n", "value": "{{body.n}}"}},
            {"set": {"name": "global.keys.k{{body.n}}", "value": "{{body.n}}"}},
            {"set": {"name": "user.keys.k{{body.n}}", "value": "{{body.n}}"}},
            {"set": {"name": "global.count", "type": "add", "value": 1}},
            {"set": {"name": "global.numbers[]", "value": "{{body.n}}"}},
            {"emit": {"event": "number.written", "payload": {"n": "{{body.n}}"}}}], "output": {"n": "{{body.n}}"}},
        "hear": {"when": {"events": ["number.written", "number.sent"]}, "do": LISTENER},
        "read": {"when": {"endpoint": True}, "do": [], "output": {
            "keys": "{{global.keys}}", "own": "{{user.keys}}", "count": "{{global.count}}", "numbers": "{{global.numbers}}",
            "begun": "{{global.begun}}", "heard": "{{global.heard}}"}}}}


@dataclass(slots=True)
class Ledger:
    """What was asked of the server, and what it said it had done."""

    written: set[int] = field(default_factory=set)
    acknowledged: set[int] = field(default_factory=set)
    sent: dict[int, list[int]] = field(default_factory=dict)
    """By sender, each of which waits for one answer before it asks for the next."""
    sent_acknowledged: set[int] = field(default_factory=set)

    @property
    def facts(self) -> int:
        """Each call that was acknowledged is an event, two keys, a number in a list and one more of a counter."""
        return 5 * len(self.acknowledged) + len(self.sent_acknowledged)


@dataclass(slots=True)
class Found:
    """What the server holds: contexts, and the numbers of the events in their order."""

    contexts: dict[str, Any]
    written: Sequence[int]
    sent: Sequence[int]

    def numbers(self, name: str) -> list[int]:
        return self.contexts.get(name) or []

    @property
    def is_quiet(self) -> bool:
        """Every event was heard: nothing more is to come."""
        return not {*self.written, *self.sent} - set(self.numbers("heard"))

    @property
    def begun_again(self) -> int:
        """Deliveries that a crash had cut off."""
        begun = self.numbers("begun")
        return len(begun) - len(set(begun))


def problems(ledger: Ledger, found: Found) -> list[str]:
    """Every promise that was broken, as a sentence."""
    return list(_problems(ledger, found))


def _problems(ledger: Ledger, found: Found) -> Iterator[str]:
    written, numbers, sent = set(found.written), found.numbers("numbers"), set(found.sent)
    yield from _some("acknowledged events are lost", ledger.acknowledged - written)
    yield from _some("acknowledged posted events are lost", ledger.sent_acknowledged - sent)
    yield from _some("events that nobody asked for", written - ledger.written)
    yield from _some("events are there twice", _repeated([*found.written, *found.sent]))
    for asked in ledger.sent.values():
        mine, order = set(asked), {n: index for index, n in enumerate(asked)}
        places = [order[n] for n in found.sent if n in mine]
        if places != sorted(places):
            yield "the events of one sender are not in their order"
    for name in ("keys", "own"):
        kept = {int(key[1:]) for key, value in (found.contexts.get(name) or {}).items() if key == f"k{value}"}
        yield from _some(f"acknowledged {name} are lost", ledger.acknowledged - kept)
        yield from _some(f"{name} and events of one batch differ", kept ^ written)
    yield from _some("acknowledged pushes are lost", ledger.acknowledged - set(numbers))
    yield from _some("pushes are there twice", _repeated(numbers))
    yield from _some("pushes and events of one batch differ", set(numbers) ^ written)
    if not len(ledger.acknowledged) <= (found.contexts.get("count") or 0) <= len(ledger.written):
        yield f"the counter is {found.contexts.get('count')}: {len(ledger.acknowledged)} acknowledged, {len(ledger.written)} asked for"
    if (found.contexts.get("count") or 0) != len(numbers):
        yield f"the counter is {found.contexts.get('count')}, the list it is written with has {len(numbers)}"
    heard = found.numbers("heard")
    yield from _some("events were never heard", (written | sent) - set(heard))
    yield from _some("events were heard that are not there", set(heard) - written - sent)
    yield from _some("deliveries that had ended ran again", _repeated(heard))
    yield from _some("deliveries ended that never began", set(heard) - set(found.numbers("begun")))


def _repeated(numbers: Iterable[int]) -> set[int]:
    return {n for n, times in Counter(numbers).items() if times > 1}


def _some(what: str, numbers: set[int]) -> Iterator[str]:
    if numbers:
        yield f"{what}: {len(numbers)}, such as {sorted(numbers)[:5]}"
