"""A store of each kind for properties whose every example has a workspace of its own in it."""
from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from stores import store_url

import store as stores
from store.protocol import Store

__all__ = ["store_url"]

# `MODEL_EXAMPLES=2000 python -m pytest tests/model` looks at that many new ones, and at longer ones.
EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", 0))
_FEW = 2
"""Where each commit goes over the network."""
settings.register_profile("model", max_examples=EXAMPLES or 6, deadline=None, derandomize=not EXAMPLES, stateful_step_count=50 if EXAMPLES else 15,
                          suppress_health_check=list(HealthCheck))


class Place(NamedTuple):
    """A store, the loop it lives on, and names that no other example has."""

    store: Store
    run: Callable[[Coroutine[Any, Any, Any]], Any]
    name: Callable[[], str]
    settings: settings


@pytest.fixture
def place(store_url: str) -> Iterator[Place]:
    names = count()
    with asyncio.Runner() as runner:
        opened = runner.run(stores.open(store_url))
        usual = settings.get_profile("model")
        is_remote = opened.cluster is not None and not EXAMPLES
        yield Place(opened, runner.run, lambda: f"model{next(names)}", settings(usual, max_examples=_FEW) if is_remote else usual)
        runner.run(opened.close())
