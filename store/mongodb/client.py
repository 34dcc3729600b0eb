"""The connection to MongoDB: opened with a sentence when it cannot be, and failures in the store's own words. The one place
that knows motor."""
from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection, AsyncIOMotorDatabase
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    ExecutionTimeout,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.uri_parser import parse_uri

from store.errors import Full, StoreError, Unavailable

_OLDEST_WIRE_VERSION = 9            # MongoDB 4.4
_PATIENCE = {"serverSelectionTimeoutMS": 5000, "connectTimeoutMS": 5000, "socketTimeoutMS": 10_000}
"""Unless STORAGE_URL says otherwise."""
_DUPLICATE = 11000
_NO_ROOM = (14031, 12501)
_DATABASE = "motorik"

Collection = AsyncIOMotorCollection
Database = AsyncIOMotorDatabase


class Connection:
    """`database` is the one the URL names, written to with majority acknowledgement."""

    def __init__(self, url: str, *, durability: str) -> None:
        if durability not in ("commit", "relaxed"):
            raise StoreError(f"durability is commit or relaxed, not {durability!r}")
        try:
            named = parse_uri(url)
            said = {name.lower() for name in named["options"]}
            patience = {name: value for name, value in _PATIENCE.items() if name.lower() not in said}
            self.client: AsyncIOMotorClient[Any] = AsyncIOMotorClient(
                url, **patience, retryWrites=False, w="majority", journal=durability == "commit", appname="motorik")
        except (InvalidURI, ConfigurationError, ValueError) as failure:
            raise StoreError(f"this is no usable MongoDB address: {failure}") from failure
        self.where = ", ".join(f"{host}:{port or 27017}" for host, port in named["nodelist"])
        self.database: AsyncIOMotorDatabase[Any] = self.client[named["database"] or _DATABASE]

    async def check(self) -> None:
        """Raises `Unavailable` or `StoreError` when this server will not do, and says why."""
        try:
            hello = await self.client.admin.command("hello")
        except ServerSelectionTimeoutError as failure:
            raise Unavailable(f"no MongoDB answers at {self.where}; start one, or correct STORAGE_URL") from failure
        except OperationFailure as failure:
            raise Unavailable(f"MongoDB at {self.where} refuses: {_short(failure)}; check user and password in STORAGE_URL") from failure
        except PyMongoError as failure:
            raise Unavailable(f"MongoDB at {self.where} cannot be used: {_short(failure)}") from failure
        if hello.get("maxWireVersion", 0) < _OLDEST_WIRE_VERSION:
            raise StoreError(f"MongoDB at {self.where} is too old; version 4.4 or newer is needed")
        if not hello.get("isWritablePrimary", hello.get("ismaster")):
            raise Unavailable(f"MongoDB at {self.where} has no primary that could be written to; name all members of the replica set")

    def close(self) -> None:
        self.client.close()


@contextmanager
def in_our_words() -> Iterator[None]:
    """Failures of MongoDB as those of a store."""
    try:
        yield
    except PyMongoError as failure:
        raise translated(failure) from failure
    except (OverflowError, UnicodeError, TypeError) as failure:
        raise StoreError(f"this cannot be stored: {failure}") from failure


def translated(failure: PyMongoError) -> StoreError:
    if isinstance(failure, OperationFailure) and failure.code in _NO_ROOM:
        return Full("no room is left for MongoDB; free some space, or give it a larger disk")
    if isinstance(failure, (ConnectionFailure, ExecutionTimeout)):
        return Unavailable(f"MongoDB does not answer: {_short(failure)}")
    return Unavailable(f"MongoDB refuses: {_short(failure)}")


def is_passing(failure: PyMongoError) -> bool:
    """The connection is lost, or a new primary is being chosen: asking again may help."""
    return isinstance(failure, AutoReconnect | ExecutionTimeout)


def was_never_sent(failure: PyMongoError) -> bool:
    return isinstance(failure, ServerSelectionTimeoutError)


def only_duplicates(failure: BulkWriteError) -> bool:
    """Every write of the bulk that failed did so because it was there already."""
    details = failure.details or {}
    return not details.get("writeConcernErrors") and all(error.get("code") == _DUPLICATE for error in details.get("writeErrors", ()))


def _short(failure: PyMongoError) -> str:
    return str(failure).split(", full error", 1)[0].split(", Timeout", 1)[0][:300]
