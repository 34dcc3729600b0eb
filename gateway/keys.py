"""The secrets of an installation: given by the environment, or made at first start and kept beside the data."""
from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from gateway.config import Settings
from runtime.ids import Ids

ADMIN_TOKEN_FILE = "admin-token"
JWT_SECRET_FILE = "jwt-secret"


class Keys(NamedTuple):
    """`made_admin_token` tells that the token is new and nobody has seen it yet."""

    admin_token: str
    signing: bytes
    """Signs login tokens: 32 bytes, whatever the length of JWT_SECRET."""
    csrf: bytes
    made_admin_token: bool


def load(settings: Settings, ids: Ids) -> Keys:
    """Read the keys, making those that are missing. Files are readable by their owner alone."""
    folder = data_folder(settings.storage_url)
    admin, is_new = (settings.admin_token, False) if settings.admin_token else _kept(folder, ADMIN_TOKEN_FILE, ids)
    secret = settings.jwt_secret or _kept(folder, JWT_SECRET_FILE, ids)[0]
    return Keys(admin, _derive(secret, "login"), _derive(secret, "csrf"), is_new)


def data_folder(storage_url: str) -> Path | None:
    """The folder of an embedded store; None for stores that live elsewhere."""
    return Path(storage_url[len("file:"):]) if storage_url.startswith("file:") else None


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
