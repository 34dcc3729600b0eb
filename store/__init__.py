"""Where facts live. Imports nothing of the runtime and nothing of the gateway."""
from __future__ import annotations

from pathlib import Path

from store.embedded.sqlite import SqliteStore
from store.errors import StoreError
from store.memory import MemoryStore
from store.protocol import Store

__all__ = ["open"]


async def open(url: str, *, durability: str = "commit") -> Store:
    """The store at `url`: `file:PATH` is a folder, made when missing; `memory:` forgets everything when it closes.

    `durability` is "commit" (a commit survives a power cut) or "relaxed" (it survives the end of the process).
    """
    scheme, _, rest = url.partition(":")
    if scheme == "file" and rest:
        return SqliteStore(Path(rest.removeprefix("//")), durability=durability)
    if scheme == "memory":
        return MemoryStore()
    if scheme in ("mongodb", "mongodb+srv"):
        raise StoreError("this build has no MongoDB store yet; use a folder, as in file:./data")
    raise StoreError(f"{url!r} names no store; use a folder, as in file:./data, or memory:")
