"""What routes that make or replace whole workspaces share: who may, how definitions come in, what is answered, how they go out."""
from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from aiohttp import hdrs, web

from gateway import bodies, multipart, wire
from gateway.errors import invalid
from runtime.calls import Identity
from runtime.catalog import archive
from runtime.catalog.definitions import Revision
from runtime.catalog.imports import ImportResult
from runtime.errors import Forbidden
from runtime.language.loader import MAX_BYTES, load
from runtime.language.source import Source

if TYPE_CHECKING:
    from gateway.app import Gateway

_log = logging.getLogger("motorik.gateway")
_DOCUMENTS = frozenset(("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "application/json"))
_ARCHIVES = frozenset(("application/zip", "application/x-zip-compressed", "application/octet-stream"))
_ZIP_MAGIC = b"PK"
_PATIENCE_SECONDS = 15
"""An import that takes longer goes on by itself."""


async def admit_creation(gateway: Gateway, request: web.Request, identity: Identity, limit: str) -> None:
    """Whether this caller may make a workspace here, and now."""
    who = gateway.settings.workspace_creation
    is_guest = "anonymous" in (identity.auth_data or {})
    if not gateway.auth.is_super_admin(identity) and (who == "admins" or who == "members" and is_guest):
        raise Forbidden(f"On this server only {who} may create workspaces")
    await gateway.door.enter(request, limit, identity.user_id)


async def document(gateway: Gateway, request: web.Request) -> Source:
    """The definition in a body: YAML or JSON, or an archive."""
    kind, most = request.content_type, gateway.settings.uploads_max_size
    if kind in _DOCUMENTS:
        content = await bodies.read(request, MAX_BYTES)
    elif kind in _ARCHIVES:
        content = await bodies.read(request, most)
    elif kind == "multipart/form-data":
        content = _uploaded(await bodies.read(request, most + MAX_BYTES), request, most)
    else:
        raise invalid("The body should be application/yaml, application/json, application/zip, or multipart with an archive", "Content-Type")
    # Both take their time for large ones, while others go on.
    if content.startswith(_ZIP_MAGIC):
        return await asyncio.to_thread(archive.unpack, content)
    return await asyncio.to_thread(load, content, name="workspace.yml")


async def import_answer(gateway: Gateway, importing: Coroutine[Any, Any, ImportResult]) -> web.Response:
    """The result, or after a while that it will come."""
    running = asyncio.ensure_future(importing)
    patience = asyncio.ensure_future(gateway.clock.sleep(_PATIENCE_SECONDS))
    try:
        await asyncio.wait((running, patience), return_when=asyncio.FIRST_COMPLETED)
    finally:
        patience.cancel()
    if not running.done():
        running.add_done_callback(_note)
        return wire.answer({"processing": True, "message": "The import goes on; an event workspaces.imported will tell of its end"})
    result = running.result()
    id = result.workspace.id
    return wire.answer({"imported": result.imported, "deleted": result.deleted, "errors": result.errors, "warnings": result.warnings,
                        "workspace": _index(gateway, id), "createdWorkspaceIds" if result.is_new else "updatedWorkspaceIds": [id]})


def _note(importing: asyncio.Future[ImportResult]) -> None:
    """Nobody waits for the result any more."""
    if not importing.cancelled() and (failure := importing.exception()) is not None:
        _log.error("an import that took long has failed: %s", failure)


def shown(gateway: Gateway, id: str) -> web.Response:
    return wire.answer(_index(gateway, id))


async def exported(revision: Revision, format: str) -> web.Response:
    """The definition as a file; everything that it is made of and nothing that only this server knows, secrets least of all."""
    definition = {key: value for key, value in revision.definition.items() if key != "id"}
    name = revision.slug.strip("/").replace("/", "-")
    if format == "zip":
        body, kind, suffix = await asyncio.to_thread(archive.pack, definition), "application/zip", "zip"
    else:
        body, kind, suffix = await asyncio.to_thread(archive.to_yaml, definition), "application/yaml; charset=utf-8", "yml"
    return web.Response(body=body, headers={hdrs.CONTENT_TYPE: kind, hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}.{suffix}"'})


def _index(gateway: Gateway, id: str) -> dict[str, Any]:
    catalog = gateway.engine.catalog
    return catalog.revision(id).index(catalog.app)


def _uploaded(body: bytes, request: web.Request, most: int) -> bytes:
    for part in multipart.split(body, request.headers[hdrs.CONTENT_TYPE], largest_file=most):
        if part.name == "archive" and part.filename is not None:
            return part.content
    raise invalid("The form should have a file named archive", "archive")
