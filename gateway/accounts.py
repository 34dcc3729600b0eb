"""Accounts: users with an e-mail address and a password, and who is found by either."""
from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any, NamedTuple

from gateway.passwords import Passwords
from runtime.clock import Clock, iso
from runtime.errors import AlreadyUsed
from runtime.ids import Ids
from runtime.values import decode, encode
from store.errors import Conflict
from store.protocol import Store
from store.records import Item

_ACCOUNTS, _EMAILS = "accounts", "account-emails"
_EMAIL = re.compile(r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]{1,64}@[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]{1,250}")
_LONGEST_EMAIL = 254
_NOBODY = "nobody"
"""Read in place of an account that is not there, so that both take as long."""


def email_key(email: str) -> str:
    """What all spellings of an address have in common."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", email).casefold()).strip()


def is_email(value: Any) -> bool:
    return type(value) is str and len(value) <= _LONGEST_EMAIL and _EMAIL.fullmatch(value) is not None


class Account(NamedTuple):
    id: str
    email: str
    names: dict[str, str]
    """`firstName`, `lastName`, `language`, as far as they are known."""
    password: str
    """Its hash."""
    created_at: str

    def facts(self) -> dict[str, Any]:
        """What the sessions of this user say about them."""
        return {"userId": self.id, "email": self.email, **self.names, "authData": {"prismeai": {"email": self.email}}}

    def contact(self) -> dict[str, Any]:
        """What other users may see."""
        return {"id": self.id, "email": self.email, **{key: self.names[key] for key in ("firstName", "lastName") if key in self.names}}


class Accounts:
    """An account and its claim on the address are written together, so that no address has two."""

    def __init__(self, store: Store, passwords: Passwords, clock: Clock, ids: Ids) -> None:
        self._store = store
        self._passwords = passwords
        self._clock = clock
        self._ids = ids

    async def create(self, email: str, password: str, names: dict[str, str]) -> Account:
        """Durable. Raises `AlreadyUsed` for an address that has an account, however it is spelled."""
        account = Account(self._ids.uuid(), email, names, await self._passwords.hash(password), iso(self._clock.now()))
        claim = Item(_EMAILS, email_key(email), "", None, encode({"userId": account.id}), is_first=True)
        try:
            await self._store.commit([_item(account), claim])
        except Conflict:
            raise taken() from None
        return account

    async def with_password(self, email: str, password: str) -> Account | None:
        """The account with this address, if that is its password. An unknown address and a wrong password take the same time."""
        account = await self._find(email)
        if not await self._passwords.match(account and account.password, password) or account is None:
            return None
        if self._passwords.is_outdated(account.password):
            account = account._replace(password=await self._passwords.hash(password))
            await self._store.commit([_item(account)])
        return account

    async def with_email(self, email: str) -> Account | None:
        return await self._find(email)

    async def with_ids(self, ids: Iterable[str]) -> list[Account]:
        """Those of them that are accounts."""
        found = [await self._read(id) for id in ids]
        return [account for account in found if account is not None]

    async def _find(self, email: str) -> Account | None:
        return await self._read(await user_of(self._store, email, self._clock.now()) or _NOBODY)

    async def _read(self, id: str) -> Account | None:
        item = await self._store.item(_ACCOUNTS, id, self._clock.now())
        return Account(**decode(item.body)) if item is not None else None


async def user_of(store: Store, email: str, now: int) -> str | None:
    """The id of the account with this address."""
    claim = await store.item(_EMAILS, email_key(email), now)
    return decode(claim.body)["userId"] if claim is not None else None


def taken() -> AlreadyUsed:
    return AlreadyUsed("This e-mail address has an account already", [{"path": "email", "message": "has an account already"}])


def _item(account: Account) -> Item:
    return Item(_ACCOUNTS, account.id, "", None, encode(account._asdict()))
