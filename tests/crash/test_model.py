"""The judge of the crash loop: it is content with a server that kept everything, and sees each kind of loss."""
from __future__ import annotations

from typing import Any

import pytest

from tests.crash.model import Found, Ledger, problems


def ledger() -> Ledger:
    """Three calls, of which the last was not acknowledged; two senders with one such event each."""
    return Ledger({1, 2, 3}, {1, 2}, {0: [10, 11], 1: [20, 21]}, {10, 20})


def found(**contexts: Any) -> Found:
    keys = {f"k{n}": n for n in (2, 1, 3)}
    kept = {"keys": keys, "own": keys, "count": 3, "numbers": [2, 1, 3], "begun": [2, 1, 3, 3, 10, 20, 11],
            "heard": [1, 2, 3, 10, 20, 11]}
    return Found({**kept, **contexts}, [2, 1, 3], [10, 20, 11])


def test_what_was_asked_for_may_be_there_without_having_been_acknowledged() -> None:
    assert problems(ledger(), found()) == []
    assert found().is_quiet
    assert found().begun_again == 1


def test_a_server_that_was_never_asked_holds_nothing() -> None:
    assert problems(Ledger(), Found({}, [], [])) == []


@pytest.mark.parametrize(("contexts", "word"), [
    ({"keys": {"k1": 1, "k3": 3}}, "acknowledged keys are lost"),
    ({"own": {"k1": 1, "k2": 1, "k3": 3}}, "acknowledged own are lost"),
    ({"count": 1}, "the counter is 1: 2 acknowledged"),
    ({"count": 4}, "the counter is 4"),
    ({"numbers": [1, 3]}, "acknowledged pushes are lost"),
    ({"numbers": [1, 2, 2, 3]}, "pushes are there twice"),
    ({"numbers": [1, 2]}, "of one batch differ"),
    ({"heard": [1, 2, 10, 20, 11]}, "never heard"),
    ({"heard": [1, 2, 3, 10, 20, 11, 21]}, "heard that are not there"),
    ({"heard": [1, 1, 2, 3, 10, 20, 11]}, "had ended ran again"),
    ({"begun": [1, 2, 3]}, "never began")])
def test_each_kind_of_loss_in_contexts_is_seen(contexts: dict[str, Any], word: str) -> None:
    assert any(word in problem for problem in problems(ledger(), found(**contexts)))


@pytest.mark.parametrize(("written", "sent", "word"), [
    ([1, 3], [10, 20, 11], "acknowledged events are lost"),
    ([1, 2, 3, 4], [10, 20, 11], "nobody asked for"),
    ([1, 2, 3, 3], [10, 20, 11], "there twice"),
    ([1, 2, 3], [10, 11], "posted events are lost"),
    ([1, 2, 3], [11, 10, 20], "not in their order")])
def test_each_kind_of_loss_in_events_is_seen(written: list[int], sent: list[int], word: str) -> None:
    assert any(word in problem for problem in problems(ledger(), Found(found().contexts, written, sent)))
