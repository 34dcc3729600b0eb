"""Acceptance of events: who waits for it goes on when everything it sets off has begun."""
from __future__ import annotations

import pytest
from catalog_kit import ORIGIN, Shop

from runtime.calls import NewEvent
from runtime.errors import InvalidEvent
from store.protocol import Store


async def test_what_a_batch_changes_is_in_place_and_told_before_its_caller_goes_on(store: Store) -> None:
    shop = Shop(store)
    workspace, told = shop.catalog.require(await shop.add({"name": "Shop"})), []
    await shop.bus.accept(workspace, [NewEvent("said")], ORIGIN, on_commit=lambda: told.append("in place"))
    assert told == ["in place"]


async def test_one_event_that_cannot_be_keeps_all_of_them_out(store: Store) -> None:
    shop = Shop(store)
    id = await shop.add({"name": "Shop"})
    with pytest.raises(InvalidEvent):
        await shop.bus.accept(shop.catalog.require(id), [NewEvent("good"), NewEvent("workspaces.deleted")], ORIGIN, native=False)
    assert await shop.types(id) == []
