"""Every store there is, for the tests that hold for all of them."""
from __future__ import annotations

import os
from collections import Counter

import pytest
from stores import mongodb, mongodb_server, store, store_url

__all__ = ["mongodb", "mongodb_server", "store", "store_url"]

# `EVERY_VARIANT=1 python -m pytest tests/contract` leaves nothing out.
_MOST = 1000 if os.environ.get("EVERY_VARIANT") else 4


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where each commit goes over the network, some variants of a test stand for all of them: the first, the last, and between."""
    remote = [item for item in items if _is_remote(item)]
    count, seen, left_out = Counter(map(_function, remote)), Counter(), set()
    for item in remote:
        number, of = seen[_function(item)], count[_function(item)]
        seen[_function(item)] += 1
        if of > _MOST and number not in {n * (of - 1) // (_MOST - 1) for n in range(_MOST)}:
            left_out.add(item)
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


def _is_remote(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and hasattr(item, "callspec") and item.callspec.params.get("store_url") == "mongodb"


def _function(item: pytest.Item) -> object:
    return item.function if isinstance(item, pytest.Function) else item
