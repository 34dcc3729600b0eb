"""Sliding windows against the plainest of models."""
from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.rates import SlidingWindow

USES = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 700)), max_size=60)


def test_the_third_of_two_is_refused_until_the_first_has_left_the_window():
    windows = SlidingWindow()
    assert windows.take(("k",), 2, 60, 0) == {"ok": True, "retryAfter": 0, "remaining": 1, "limit": 2, "window": 60}
    assert windows.take(("k",), 2, 60, 10_000)["remaining"] == 0
    assert windows.take(("k",), 2, 60, 20_500) == {"ok": False, "retryAfter": 40, "remaining": 0, "limit": 2, "window": 60}
    assert windows.take(("k",), 2, 60, 59_999)["retryAfter"] == 1
    assert windows.take(("k",), 2, 60, 60_000) == {"ok": True, "retryAfter": 0, "remaining": 0, "limit": 2, "window": 60}


def test_keys_do_not_count_for_each_other():
    windows = SlidingWindow()
    assert windows.take(("ws", "", "name", "ada"), 1, 1, 0)["ok"]
    assert windows.take(("ws", "", "name", "bob"), 1, 1, 0)["ok"]
    assert not windows.take(("ws", "", "name", "ada"), 1, 1, 0)["ok"]


def test_a_limit_of_nothing_allows_nothing():
    assert SlidingWindow().take(("k",), 0, 2.5, 0) == {"ok": False, "retryAfter": 3, "remaining": 0, "limit": 0, "window": 2.5}


def test_a_lowered_limit_waits_for_as_many_uses_as_it_is_over():
    windows = SlidingWindow()
    for now in (0, 1000, 2000):
        windows.take(("k",), 3, 10, now)
    assert windows.take(("k",), 1, 10, 3000)["retryAfter"] == 9


def test_a_key_with_a_huge_limit_takes_a_bounded_number_of_marks():
    windows = SlidingWindow()
    allowed = sum(windows.take(("k",), 5000, 10, now)["ok"] for now in range(30_000))
    assert 14_900 <= allowed <= 15_100
    (uses,) = windows._uses.values()
    assert len(uses.marks) <= 1001


def test_keys_are_forgotten_once_their_window_is_empty():
    windows = SlidingWindow()
    for second in range(5000):
        windows.take((second,), 1, 1, second * 1000)
    assert len(windows._uses) <= 1000


def test_a_flood_of_keys_pushes_out_the_ones_not_used_for_longest():
    windows = SlidingWindow(max_keys=100)
    for number in range(1000):
        windows.take(("flood", number), 1, 3600, number)
        windows.take(("steady",), 5, 3600, number)
        assert len(windows._uses) <= 100
    assert not windows.take(("steady",), 5, 3600, 1000)["ok"]
    assert not windows.take(("flood", 999), 1, 3600, 1000)["ok"]


@settings(max_examples=80, deadline=None)
@given(USES, st.integers(0, 5), st.sampled_from([0.25, 1, 2]))
def test_it_counts_like_a_list_of_all_uses(uses: list[tuple[str, int]], limit: int, window: float):
    windows, taken, now = SlidingWindow(), {"a": [], "b": []}, 0
    for key, pause in uses:
        now += pause
        recent = [at for at in taken[key] if at > now - window * 1000]
        result = windows.take((key,), limit, window, now)
        assert result["ok"] == (len(recent) < limit)
        if result["ok"]:
            taken[key].append(now)
            assert result["remaining"] == limit - len(recent) - 1
        elif limit:
            again = now + result["retryAfter"] * 1000
            assert len([at for at in recent if at > again - window * 1000]) < limit
