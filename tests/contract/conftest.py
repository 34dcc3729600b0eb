"""Every store there is, for the tests that hold for all of them."""
from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import store as stores
from store.protocol import Store


@pytest.fixture(params=["memory", "file"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = await stores.open("memory:" if request.param == "memory" else f"file:{tmp_path}/data")
    yield opened
    await opened.close()
