"""Where facts live. Imports nothing of the runtime and nothing of the gateway."""
from __future__ import annotations

from pathlib import Path

from store.embedded.sqlite import SqliteStore
from store.errors import StoreError
from store.memory import MemoryStore
from store.protocol import Store

__all__ = ["open"]


async def open(url: str, *, durability: str = "commit", expire_by_index: bool = False) -> Store:
    """The store at `url`: `file:PATH` is a folder, made when missing; `memory:` forgets everything when it closes.

    `mongodb://HOST:PORT/DATABASE` may be shared by several nodes.

    `durability` is "commit" (a commit survives a power cut) or "relaxed" (it survives the end of the process). With
    `expire_by_index` MongoDB may drop by its own clock what has ended; `Store.expire` does it by yours in any case.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "file" and rest:
        return SqliteStore(Path(rest.removeprefix("//")), durability=durability)
    if scheme == "memory":
        return MemoryStore()
    if scheme in ("mongodb", "mongodb+srv"):
        from store.mongodb.mongo import MongoStore  # the driver is not loaded where nobody needs it
        return await MongoStore.open(url, durability=durability, expire_by_index=expire_by_index)
    raise StoreError(f"{url!r} names no store; use a folder, as in file:./data, a mongodb:// address, or memory:")
