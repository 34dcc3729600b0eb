"""The secrets of workspaces: sealed wherever they are kept, plain only in the memory of a node.

All secrets of a workspace are one document. Each change of it is kept under the next number, and a number is taken once, so that of
two nodes that change the same secrets one has to look again.
"""
from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from runtime.errors import AutomationsError
from runtime.ids import Ids, RandomIds
from runtime.values import decode, encode
from store.records import Item, ItemEnded

COLLECTION = "secrets"
RATES = "prismeai_ratelimit_"
"""What begins like this sets how fast a workspace may work: given like a secret, but none."""

_log = logging.getLogger("motorik.secrets")
_PURPOSE = b"motorik secrets of workspaces"
_NONCE_BYTES = 12
_NOTHING: dict[str, Any] = {}


class Secret(NamedTuple):
    """`value` is None while no key is there to read it; `sealed` is what is kept of it."""

    value: str | None
    description: str | None
    updated_at: int
    sealed: str = ""


Secrets = Mapping[str, Secret]


class NoKey(AutomationsError):
    """Secrets cannot be kept without a key to seal them."""

    def __init__(self) -> None:
        super().__init__("This server has no key to keep secrets with: set SECRETS_KEY or JWT_SECRET, to the same on all nodes")


class Vault:
    """Seals with the first of its keys, and opens what any of them has sealed. The keys may have any length."""

    def __init__(self, keys: Sequence[bytes], ids: Ids) -> None:
        self._keys = tuple(keys)
        self._ids = ids

    def seal(self, text: str, place: Sequence[str]) -> str:
        """`text` for nobody's eyes; it opens in the same place only. Raises `NoKey`."""
        if not self._keys:
            raise NoKey
        nonce = bytes.fromhex(self._ids.token(_NONCE_BYTES))
        return (nonce + self._ciphers[0].encrypt(nonce, text.encode(), encode(list(place)))).hex()

    def open(self, sealed: str, place: Sequence[str]) -> str | None:
        """The text, or None when none of the keys fits, or the place."""
        from cryptography.exceptions import InvalidTag

        content = bytes.fromhex(sealed)
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], encode(list(place))).decode()
            except InvalidTag:
                continue
        return None

    @cached_property
    def _ciphers(self) -> list[Any]:
        # Imported when there is something to seal: most servers start faster without it.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        return [AESGCM(HKDF(SHA256(), 32, None, _PURPOSE).derive(key)) for key in self._keys]


class _Kept(NamedTuple):
    number: int
    secrets: Secrets


class SecretBook:
    """What this node knows of the secrets of all workspaces."""

    def __init__(self) -> None:
        self._vault = Vault((), RandomIds())
        self._kept: dict[str, _Kept] = {}

    def unlock(self, vault: Vault) -> None:
        """From now on secrets can be read and kept. Before, they can be neither."""
        self._vault = vault

    def of(self, workspace_id: str) -> Secrets:
        kept = self._kept.get(workspace_id)
        return kept.secrets if kept else _NOTHING

    def values(self, workspace_id: str) -> dict[str, str]:
        """Name → value, of those that can be read."""
        return {name: secret.value for name, secret in self.of(workspace_id).items() if secret.value is not None}

    def take(self, item: Item) -> str | None:
        """Learn what is kept; the workspace whose secrets have changed by that."""
        workspace_id, _, number = item.id.rpartition("/")
        kept = self._kept.get(workspace_id)
        if kept is not None and kept.number >= int(number):
            return None
        opened = {name: self._opened(workspace_id, name, entry) for name, entry in decode(item.body).items()}
        self._kept[workspace_id] = _Kept(int(number), opened)
        return workspace_id

    def next(self, workspace_id: str, secrets: Secrets) -> tuple[Item, list[ItemEnded]]:
        """What to commit so that these are the secrets from now on. Raises `NoKey`."""
        number = self._number(workspace_id)
        body = encode({name: self._entry(workspace_id, name, secret) for name, secret in secrets.items()})
        ended = [ItemEnded(COLLECTION, f"{workspace_id}/{number}")] if number else []
        return Item(COLLECTION, f"{workspace_id}/{number + 1}", "", None, body, is_first=True), ended

    def forget(self, workspace_id: str) -> None:
        self._kept.pop(workspace_id, None)

    def ends(self, workspace_id: str) -> list[ItemEnded]:
        """What to commit when the workspace goes."""
        number = self._number(workspace_id)
        return [ItemEnded(COLLECTION, f"{workspace_id}/{number}")] if number else []

    def _number(self, workspace_id: str) -> int:
        kept = self._kept.get(workspace_id)
        return kept.number if kept else 0

    def _entry(self, workspace_id: str, name: str, secret: Secret) -> dict[str, Any]:
        sealed = secret.sealed if secret.value is None else self._vault.seal(secret.value, (workspace_id, name))
        return {"sealed": sealed, "description": secret.description, "updatedAt": secret.updated_at}

    def _opened(self, workspace_id: str, name: str, entry: dict[str, Any]) -> Secret:
        value = self._vault.open(entry["sealed"], (workspace_id, name))
        if value is None:
            _log.error("the secret %s of workspace %s cannot be read: the key it was sealed with is missing", name, workspace_id)
        return Secret(value, entry["description"], entry["updatedAt"], entry["sealed"])


def changed_names(before: Secrets, after: Secrets) -> dict[str, list[str]]:
    """What is told of a change: names alone."""
    return {"created": [name for name in after if name not in before],
            "updated": [name for name, secret in after.items() if name in before and secret != before[name]],
            "deleted": [name for name in before if name not in after]}
