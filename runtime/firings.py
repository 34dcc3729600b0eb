"""A tick as a delivery: committed together with it, so that a firing that was not finished when its node died is done again."""
from __future__ import annotations

from typing import NamedTuple

from runtime.values import decode, encode
from store.protocol import Store
from store.query import All, EventQuery, Is
from store.records import Delivery

TRIGGERED = "runtime.schedules.triggered"


class Fired(NamedTuple):
    """What the run of a tick has to know. `cron` is the text as it was written."""

    cron: str
    correlation_id: str


def delivery_of(workspace_id: str, automation: str, cron: str, at: int, *, correlation_id: str) -> Delivery:
    """Of one tick, the same one wherever it is made; there is no event behind it."""
    body = encode({"schedule": cron, "at": at, "correlationId": correlation_id})
    return Delivery(f"{workspace_id}:{automation}:{at}", workspace_id, "", automation, at, body)


def fired(delivery: Delivery) -> Fired | None:
    """None for the delivery of an event."""
    if delivery.event_id:
        return None
    body = decode(delivery.body)
    return Fired(body["schedule"], body["correlationId"])


async def is_told(store: Store, workspace_id: str, correlation_id: str) -> bool:
    """Whether the firing was announced before its node died."""
    where = All((Is(("type",), (TRIGGERED,)), Is(("source", "correlationId"), (correlation_id,))))
    return bool(await store.events(EventQuery(workspace_id, where, limit=1)))
