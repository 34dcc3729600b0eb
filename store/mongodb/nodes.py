"""Who shares the store, and how far the collections hold what each of them committed."""
from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from store.errors import Fenced, StoreError
from store.mongodb.client import in_our_words
from store.mongodb.wire import CellEnded, Gone, Joined
from store.records import Change, ContextKey, Delivery, Event, Member

if TYPE_CHECKING:
    from store.mongodb.log import Piece
    from store.mongodb.mongo import MongoStore
    from store.protocol import Hear

GUEST = ""
"""The name of those who write without joining: it is never taken for dead, and what it leaves is anybody's."""


class Nodes:
    """`Cluster`, for one node."""

    def __init__(self, store: MongoStore) -> None:
        self.id = GUEST
        self.settled = 0
        """The number up to which the collections hold what this node appended."""
        self.is_fenced = False
        self._store = store
        self._nodes = store._database["nodes"]
        self._members: dict[str, Member] = {}
        self._hear: Hear = lambda first, facts: None
        self._unsettled: dict[int, Piece] = {}
        """By number: what others appended, or this node under another name, and what perhaps is not in the collections."""
        self._settling = asyncio.Lock()

    async def open(self) -> None:
        """Know the members, and put into the collections what is only in the log."""
        floors: dict[str, int] = {}
        async for document in self._nodes.find({}):
            floors[document["_id"]] = document.get("settled", 0)
        self.settled = floors.get(GUEST, 0)
        async for piece in self._store.log.pieces(min(floors.values(), default=0)):
            if piece.n > floors.get(piece.node, 0) and piece.n <= self._store.log.seen:
                await self._store.materials.apply(piece)
        async for document in self._nodes.find({"ended": 0}):      # now with those who joined in the last pieces
            self._members[document["_id"]] = _member(document)

    # --- Cluster -------------------------------------------------------------------------------------

    async def join(self, member: Member, hear: Hear) -> None:
        await self._store.log.catch_up()
        self._hear = hear
        self.id, self.is_fenced = member.id, False
        await self._store.submit([Joined(member)])

    async def leave(self) -> None:
        if self.id != GUEST and not self.is_fenced:
            await self._store.submit([Gone(self.id)])
        self.is_fenced = self.id != GUEST

    async def catch_up(self) -> None:
        self.check()
        await self._store.log.catch_up()
        await self._store.writer.told()

    def owner(self, workspace_id: str, correlation_id: str) -> Member | None:
        holder = self._store.ledger.holders.get((workspace_id, correlation_id))
        return None if holder is None or holder == self.id else self._members.get(holder)

    async def beat(self) -> dict[str, int]:
        await self.catch_up()
        self.check()
        with in_our_words():
            await self._nodes.update_one({"_id": self.id}, {"$inc": {"beats": 1}, "$set": {"settled": self.settled}})
            return {document["_id"]: document.get("beats", 0) async for document in self._nodes.find({"ended": 0}, {"beats": 1})
                    if document["_id"] not in (self.id, GUEST)}

    def member(self, id: str) -> Member | None:
        return self._members.get(id)

    async def take_over(self, id: str) -> list[Delivery]:
        await self.catch_up()
        if id in self._members:
            await self._store.submit([Gone(id)])
        await self.settle_all()
        with in_our_words():
            await self._nodes.update_one({"_id": id}, {"$set": {"settled": self._store.log.seen}})
        return await self._adopt_deliveries()

    async def _adopt_deliveries(self) -> list[Delivery]:
        """What belongs to nobody who lives; each of them has one finder."""
        from store.mongodb.mongo import delivery_of
        deliveries = self._store._database["deliveries"]
        adopted = []
        with in_our_words():
            alive = [*self._members, self.id]
            for document in await deliveries.find({"ended": 0, "node": {"$nin": alive}}).to_list(None):
                done = await deliveries.update_one({"_id": document["_id"], "node": document["node"], "ended": 0}, {"$set": {"node": self.id}})
                if done.matched_count:
                    adopted.append(document)
        return [delivery_of(document) for document in sorted(adopted, key=lambda d: (d["at"], d["i"]))]

    async def agree(self, name: str, value: str) -> str:
        agreed = self._store._database["agreed"]
        with in_our_words():
            await self._store.materials.once("agreed", name, value=value)
            return (await agreed.find_one({"_id": name}))["value"]

    # --- what others do --------------------------------------------------------------------------------

    def is_alive(self, id: str) -> bool:
        return id in self._members

    def was_replaced(self, id: str) -> bool:
        """Whether others have taken over from the node that this one is, or was, under that name."""
        return id != GUEST and (self.is_fenced or id != self.id)

    def check(self) -> None:
        """Raises `Fenced`."""
        if self.is_fenced:
            raise Fenced("the other nodes have gone on without this one")

    def heard(self, piece: Piece) -> None:
        """At once, under the lock of the log: what the next commit must know."""
        for fact in piece.facts:
            self._know(fact)
            if fact == Gone(self.id):
                self.is_fenced = True
        self._unsettled = {n: p for n, p in self._unsettled.items() if p.node != piece.node or n > piece.settled}
        self._unsettled[piece.n] = piece

    def took(self, facts: Sequence[Any]) -> None:
        """The same for what this node appended: when it says itself that it is gone, it is leaving."""
        for fact in facts:
            self._know(fact)

    def _know(self, fact: Any) -> None:
        if type(fact) is Joined:
            self._members[fact.member.id] = fact.member
        elif type(fact) is Gone:
            self._members.pop(fact.id, None)
            self._store.ledger.release(fact.id)

    def tell(self, piece: Piece) -> None:
        """In its turn: what the rest of this node wants to hear."""
        facts = [fact for fact in piece.facts if type(fact) not in (CellEnded, Joined, Gone)]
        if facts:
            self._hear(piece.first, facts)

    # --- settling --------------------------------------------------------------------------------------

    async def settle_before(self, piece: Piece) -> None:
        """Changes of the same documents that come before in the log come before in the collections, too."""
        if self._unsettled:
            cells = _cells(piece)
            if any(n < piece.n and not cells.isdisjoint(_cells(p)) for n, p in self._unsettled.items()):
                await self._settle(piece.n)

    async def settle_cells(self, keys: Sequence[ContextKey]) -> None:
        if self._unsettled and any(not _cells(piece).isdisjoint(keys) for piece in self._unsettled.values()):
            await self.settle_all()

    async def settle_kinds(self, kinds: frozenset[type]) -> None:
        if any(type(fact) in kinds for piece in self._unsettled.values() for fact in piece.facts):
            await self.settle_all()

    async def settle_events(self, workspace_id: str) -> None:
        if any(type(fact) is Event and fact.workspace_id == workspace_id for piece in self._unsettled.values() for fact in piece.facts):
            await self.settle_all()

    async def settle_all(self) -> None:
        """What others appended is in the collections when this returns, whether they put it there or this node does."""
        if self._unsettled:
            await self._settle(None)

    async def _settle(self, before: int | None) -> None:
        """In the order of the log, in which this node's own pieces have their places, too: a change that comes to a document after
        a later one is taken for one that was made already. `before` is the number of an own piece, whose turn is next."""
        with in_our_words():
            floors = {document["_id"]: document.get("settled", 0) async for document in self._nodes.find({}, {"settled": 1})}
        for n in sorted(self._unsettled):
            if before is None:
                await self._store.writer.applied(n)
            elif n > before:
                break
            async with self._settling:
                piece = self._unsettled.get(n)
                if piece is not None and n > floors.get(piece.node, 0):
                    await self._store.materials.apply(piece)
                self._unsettled.pop(n, None)

    async def settled_everywhere(self) -> int:
        """The number up to which the log is in the collections, whoever appended it."""
        floors = [document.get("settled", 0) async for document in self._nodes.find({"ended": 0}, {"settled": 1})]
        return min([self.settled, *floors])

    def leave_unsettled(self, piece: Piece) -> None:
        """The log has it, and it cannot be put into the collections now: it is left to whoever takes over."""
        self.is_fenced = True
        self._unsettled[piece.n] = piece

    async def show_settled(self) -> None:
        """Others need not look after what this node appended."""
        if len(self._members) > 1 and not self.is_fenced:
            with suppress(StoreError):                     # they look after it all the same
                await self._show_settled()

    async def _show_settled(self) -> None:
        with in_our_words():
            await self._nodes.update_one({"_id": self.id}, {"$set": {"settled": self.settled}}, upsert=self.id == GUEST)

    async def close(self) -> None:
        with suppress(StoreError):
            await self._show_settled()


def _cells(piece: Piece) -> set[ContextKey]:
    return {fact.cell for fact in piece.facts if type(fact) is Change or type(fact) is CellEnded}


def _member(document: dict[str, Any]) -> Member:
    return Member(document["_id"], document["url"], document["host"], document["pid"])
