"""The secrets of an installation: given by the environment, or made at first start and kept with the data."""
from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from gateway.config import Settings
from runtime.ids import Ids
from store.protocol import Cluster

ADMIN_TOKEN_FILE = "admin-token"
JWT_SECRET_FILE = "jwt-secret"
INTERNAL_KEY_FILE = "internal-api-key"
SECRETS_KEY_FILE = "secrets-key"


class Keys(NamedTuple):
    """`made_admin_token` tells that the token is new and nobody has seen it yet."""

    admin_token: str
    signing: bytes
    """Signs login tokens: 32 bytes, whatever the length of JWT_SECRET."""
    csrf: bytes
    made_admin_token: bool
    secrets: tuple[bytes, ...] = ()
    """Seal the secrets of workspaces: the first one seals, all of them open. None where nodes share a store and were given none."""

    internal: str = ""
    """What programs of the operator show."""

    retired: tuple[bytes, ...] = ()
    """Keys of older secrets: they sign nothing any more, and what they signed counts until it ends."""

    @property
    def passing(self) -> bytes:
        """What nodes prove to each other that they are nodes of this installation."""
        return hashlib.sha256(b"motorik passing " + self.signing).digest()


def load(settings: Settings, ids: Ids) -> Keys:
    """Read the keys, making those that are missing. Files are readable by their owner alone."""
    folder = data_folder(settings.storage_url)
    admin, is_new = (settings.admin_token, False) if settings.admin_token else _kept(folder, ADMIN_TOKEN_FILE, ids)
    secret = settings.jwt_secret or _kept(folder, JWT_SECRET_FILE, ids)[0]
    internal = settings.internal_api_key or _kept(folder, INTERNAL_KEY_FILE, ids)[0]
    return _keys(admin, secret, _sealing(settings, folder, ids), is_new=is_new)._replace(internal=internal)


async def agree(settings: Settings, ids: Ids, cluster: Cluster) -> Keys:
    """The keys of all nodes of one store, kept in it; what the environment gives wins, on the nodes it is given to."""
    admin, is_new = (settings.admin_token, False) if settings.admin_token else await _agreed(cluster, ADMIN_TOKEN_FILE, ids)
    secret = settings.jwt_secret or (await _agreed(cluster, JWT_SECRET_FILE, ids))[0]
    # The key must not lie in the same database as what it seals.
    derived = [f"motorik secrets {one}".encode() for one in _listed(settings.jwt_secret)] if settings.jwt_secret else []
    internal = settings.internal_api_key or (await _agreed(cluster, INTERNAL_KEY_FILE, ids))[0]
    return _keys(admin, secret, (*_given(settings), *derived), is_new=is_new)._replace(internal=internal)


def _sealing(settings: Settings, folder: Path | None, ids: Ids) -> tuple[bytes, ...]:
    """The keys that were given, and the one that was made before there were any."""
    given = _given(settings)
    if given and (folder is None or not (folder / SECRETS_KEY_FILE).exists()):
        return given
    return (*given, _kept(folder, SECRETS_KEY_FILE, ids)[0].encode())


def _given(settings: Settings) -> tuple[bytes, ...]:
    return tuple(key.encode() for key in settings.secrets_key)


async def _agreed(cluster: Cluster, name: str, ids: Ids) -> tuple[str, bool]:
    made = ids.token()
    kept = await cluster.agree(name, made)
    return kept, kept == made


def data_folder(storage_url: str) -> Path | None:
    """The folder of an embedded store; None for stores that live elsewhere."""
    return Path(storage_url[len("file:"):].removeprefix("//")) if storage_url.startswith("file:") else None


def _keys(admin: str, secret: str, sealing: tuple[bytes, ...], *, is_new: bool) -> Keys:
    newest, *older = _listed(secret)
    return Keys(admin, _derive(newest, "login"), _derive(newest, "csrf"), is_new, sealing, retired=tuple(_derive(one, "login") for one in older))


def _listed(secret: str) -> list[str]:
    """JWT_SECRET may name older secrets after the one that signs, separated by commas."""
    return [part for text in secret.split(",") if (part := text.strip())] or [secret]


def _derive(secret: str, purpose: str) -> bytes:
    return hashlib.sha256(f"motorik {purpose} {secret}".encode()).digest()


def _kept(folder: Path | None, name: str, ids: Ids) -> tuple[str, bool]:
    """The secret in that file and whether it was made now. Two servers that start together agree on the first one's."""
    made = ids.token()
    if folder is None:
        return made, True
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{name}.{made[:8]}"
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(made)
    try:
        os.link(draft, folder / name)                # complete at once, and never over an existing one
        return made, True
    except FileExistsError:
        return (folder / name).read_text(encoding="ascii").strip(), False
    finally:
        draft.unlink()
