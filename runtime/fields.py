"""Reading contexts: the stored document, and over it the fields that are computed whenever they are read."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from runtime.clock import iso
from runtime.expressions import follow
from runtime.values import UNDEFINED

if TYPE_CHECKING:
    from runtime.contexts import Cell
    from runtime.frame import Frame

Field = Callable[["Frame"], Any]

GLOBAL: dict[str, Field] = {
    "workspaceId": lambda f: f.workspace.id,
    "workspaceName": lambda f: f.workspace.name,
    "apiUrl": lambda f: f.settings.api_url,
    "studioUrl": lambda f: f.settings.studio_url,
    "pagesUrl": lambda f: _pages_url(f),
    "pagesHost": lambda f: f.settings.pages_host,
    "endpoints": lambda f: f.instance.endpoint_urls,
    "workspacesRegistry": lambda f: f.run.services.registry(),
}
USER: dict[str, Field] = {
    "id": lambda f: _present(f.view.identity.user_id),
    "email": lambda f: _present(f.view.identity.email),
    "authData": lambda f: _present(f.view.identity.auth_data),
    "role": lambda f: _present(f.view.identity.role),
}
SESSION: dict[str, Field] = {"id": lambda f: _present(f.view.identity.session_id)}
RUN: dict[str, Field] = {
    "depth": lambda f: f.depth,
    "correlationId": lambda f: f.run.correlation_id,
    "socketId": lambda f: _present(f.origin.socket_id),
    "appSlug": lambda f: _present(f.instance.app_slug),
    "appInstanceSlug": lambda f: f.instance.slug or UNDEFINED,
    "appInstanceFullSlug": lambda f: f.instance.path or UNDEFINED,
    "parentAppSlug": lambda f: _present(f.instance.parent.app_slug if f.instance.parent else None),
    "date": lambda f: iso(f.clock.now()),
    "trigger": lambda f: f.trigger,
    "automationSlug": lambda f: f.automation.slug,
    "ip": lambda f: _present(f.origin.ip),
    "sourceWorkspaceId": lambda f: _present(f.origin.source_workspace_id),
    "authenticatedWorkspaceId": lambda f: _present(f.origin.authenticated_workspace_id),
    "deliveryId": lambda f: _present(f.delivery_id),
}


def _present(value: Any) -> Any:
    return UNDEFINED if value is None else value


def _pages_url(frame: Frame) -> str:
    domains = frame.workspace.definition.get("customDomains")
    scheme = frame.settings.api_url.partition("://")[0]
    return f"{scheme}://{domains[0]}" if isinstance(domains, list) and domains else f"{scheme}://{frame.workspace.slug}{frame.settings.pages_host}"


def _current(cell: Cell, frame: Frame) -> dict[str, Any]:
    return cell.document if cell.ends is None else cell.current(frame.clock.now())


def _read(document: dict[str, Any], fields: dict[str, Field], frame: Frame, path: tuple) -> Any:
    if not path:
        computed = {name: value for name, field in fields.items() if (value := field(frame)) is not UNDEFINED}
        return {**{name: value for name, value in document.items() if name not in fields}, **computed}
    field = fields.get(path[0])
    if field is None:
        return follow(document, path)
    return follow(field(frame), path[1:])


def _read_global(frame: Frame, path: tuple) -> Any:
    extra = frame.settings.additional_global_vars
    if extra and path and path[0] in extra:
        return follow(extra[path[0]], path[1:])
    document = _current(frame.space.global_cell, frame)
    return _read({**document, **extra} if extra and not path else document, GLOBAL, frame, path)


def _read_config(frame: Frame, path: tuple) -> Any:
    return follow(_current(frame.instance.config_cell, frame), path)


def _read_secret(frame: Frame, path: tuple) -> Any:
    # Where text from outside is read as a template, it must not name secrets.
    return UNDEFINED if frame.settings.template_reexpansion else follow(frame.instance.secrets, path)


READERS: dict[str, Callable[[Frame, tuple], Any]] = {
    "global": _read_global,
    "user": lambda f, path: _read(_current(f.view.user, f), USER, f, path),
    "session": lambda f, path: _read(f.view.session.live(f.clock.now()), SESSION, f, path),
    "run": lambda f, path: _read(_current(f.run.cell, f), RUN, f, path),
    "socket": lambda f, path: follow(f.socket.live(f.clock.now()), path),
    "config": _read_config,
    "secret": _read_secret,
    "$workspace": lambda f, path: follow(f.instance.definition, path),
}
