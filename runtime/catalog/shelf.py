"""What is there: the revisions of all workspaces, the apps, and the live snapshots made of them. How they change is the catalog's."""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from runtime.catalog import publications
from runtime.catalog.definitions import Definition, Revision, from_fact
from runtime.catalog.publications import Publication
from runtime.errors import NotFound
from runtime.permissions.shares import Sharing
from runtime.secrets import COLLECTION, SecretBook
from runtime.settings import RuntimeSettings
from runtime.workspace import Workspace
from store.protocol import Store
from store.records import App, AppDeleted, Item, WorkspaceDeleted
from store.records import Workspace as WorkspaceFact

OnChange = Callable[[Workspace | None, Workspace | None], None]
Heard = WorkspaceFact | WorkspaceDeleted | App | AppDeleted | Item
_ALWAYS = 0
"""A time at which whatever never ends is there."""


class User(NamedTuple):
    """A workspace that imports an app, around a change of that app."""

    before: Workspace
    after: Workspace


class Shelf:
    """Reads are plain look-ups."""

    def __init__(self, store: Store, settings: RuntimeSettings) -> None:
        self._store = store
        self._settings = settings
        self.secrets = SecretBook()
        self.sharing = Sharing(store)
        self._revisions: dict[str, Revision] = {}
        self._live: dict[str, Workspace] = {}
        self._ids_by_slug: dict[str, str] = {}
        self._apps: dict[str, Publication] = {}
        self._apps_changed = 0
        """Counts publications, and secrets heard of: a snapshot that was built before the last one has to be built again."""
        self._listeners: list[OnChange] = []
        self.is_hearing = False
        """The change that listeners are told of was committed by another node."""

    async def load(self) -> None:
        """Read everything that is stored. Nobody is told of it."""
        self._apps = {fact.slug: publications.from_fact(fact) for fact in await self._store.apps()}
        self._revisions = {fact.id: from_fact(fact) for fact in await self._store.workspaces()}
        self._ids_by_slug = {revision.slug: id for id, revision in self._revisions.items()}
        await self.sharing.load(self._revisions)
        for item in await self._store.items(COLLECTION, "", _ALWAYS):
            self.secrets.take(item)
        self._live = {id: self._build(revision) for id, revision in self._revisions.items()}
        for live in self._live.values():
            live.shares = self.sharing.of(live.id)

    async def reload(self) -> None:
        """Take over what was stored by others since then, as if it was heard now."""
        apps, workspaces = await self._store.apps(), await self._store.workspaces()
        await self.sharing.load([fact.id for fact in workspaces])
        secrets = await self._store.items(COLLECTION, "", _ALWAYS)
        for slug in self._apps.keys() - {fact.slug for fact in apps}:
            self.hear(AppDeleted(slug))
        for id in self._revisions.keys() - {fact.id for fact in workspaces}:
            self.hear(WorkspaceDeleted(id))
        for fact in (*secrets, *apps, *workspaces):
            self.hear(fact)

    def hear(self, fact: Heard) -> None:
        """Go on with what another node has committed. What is known already changes nothing."""
        self.is_hearing = True
        try:
            self._take(fact)
        finally:
            self.is_hearing = False

    def _take(self, fact: Heard) -> None:
        match fact:
            case WorkspaceFact():
                known = self._revisions.get(fact.id)
                if known is None or known.number < fact.revision:
                    new = from_fact(fact)
                    self._put(new, self._build(new))
            case WorkspaceDeleted(id):
                self._put_away(id)
            case App():
                app = publications.from_fact(fact)
                if self._apps.get(fact.slug) != app:
                    self._put_app(fact.slug, app)
            case AppDeleted(slug):
                self._put_app(slug, None)
            case Item():
                self.put_secrets(fact)

    # --- reading -------------------------------------------------------------------------------------

    def get(self, id: str) -> Workspace | None:
        return self._live.get(id)

    def require(self, id: str) -> Workspace:
        """Raises `NotFound`."""
        workspace = self._live.get(id)
        if workspace is None:
            raise NotFound("Workspace not found", {"workspaceId": id})
        return workspace

    def by_slug(self, slug: str) -> Workspace | None:
        return self._live.get(self._ids_by_slug.get(slug, ""))

    def all(self) -> list[Workspace]:
        return list(self._live.values())

    def revision(self, id: str) -> Revision:
        """The workspace as it is kept. Its parts are not to be changed. Raises `NotFound`."""
        self.require(id)
        return self._revisions[id]

    def is_slug_of_another(self, slug: str, id: str | None) -> bool:
        """Whether a workspace other than this one has it."""
        return self._ids_by_slug.get(slug, id) != id

    def page(self, id: str) -> tuple[Workspace, str] | None:
        """The page with this id: its workspace and its slug."""
        return next(((self._live[revision.id], slug) for revision in self._revisions.values()
                     for slug, page_id in revision.page_ids.items() if page_id == id), None)

    def app(self, slug: str) -> Publication | None:
        return self._apps.get(slug)

    def require_app(self, slug: str) -> Publication:
        """Raises `NotFound`."""
        publication = self._apps.get(slug)
        if publication is None:
            raise NotFound("App not found", {"appSlug": slug})
        return publication

    def apps(self) -> list[Publication]:
        return list(self._apps.values())

    def on_change(self, listener: OnChange) -> None:
        """Call `listener` with the snapshots before and after each commit, and before anybody hears of it."""
        self._listeners.append(listener)

    # --- changes -------------------------------------------------------------------------------------

    def _put(self, new: Revision, live: Workspace) -> None:
        """Put a committed revision in its place, and its snapshot."""
        old = self._revisions.get(new.id)
        self._revisions[new.id] = new
        if old is not None and old.slug != new.slug and self._ids_by_slug.get(old.slug) == new.id:
            del self._ids_by_slug[old.slug]
        self._ids_by_slug[new.slug] = new.id
        self._put_live(new.id, live)

    def _put_away(self, id: str) -> None:
        old = self._revisions.pop(id, None)
        self.sharing.forget(id)
        self.secrets.forget(id)
        if old is not None:
            if self._ids_by_slug.get(old.slug) == id:
                del self._ids_by_slug[old.slug]
            self._put_live(id, None)

    def _put_app(self, slug: str, app: Publication | None) -> list[User]:
        """Put an app in its place, or away, and a new snapshot in the place of every workspace that uses it."""
        if app is None:
            self._apps.pop(slug, None)
        else:
            self._apps[slug] = app
        self._apps_changed += 1
        users = []
        for before in self.all():
            if any(slug == imported.get("appSlug") for instance in before.instances.values()
                   for imported in (instance.definition.get("imports") or {}).values()):
                after = self._build(self._revisions[before.id])
                self._put_live(before.id, after)
                users.append(User(before, after))
        return users

    def put_secrets(self, kept: Item) -> None:
        """Put a new snapshot, of the same revision, in the place of the one that knew the secrets before."""
        changed = self.secrets.take(kept)
        revision = self._revisions.get(changed) if changed is not None else None
        if revision is not None:
            self._apps_changed += 1
            self._put_live(revision.id, self._build(revision))

    def _build(self, revision: Revision) -> Workspace:
        return Workspace.build(id=revision.id, slug=revision.slug, owner=revision.owner, revision=revision.number,
                               definition=revision.definition, find_app=self._find_app, settings=self._settings,
                               secrets=self.secrets.values(revision.id), is_suspended=revision.is_suspended)

    def _find_app(self, slug: str, version: str | None) -> Definition | None:
        app = self._apps.get(slug)
        found = app.version(version) if app else None
        return found.definition if found else None

    def _app_of(self, id: str) -> Publication | None:
        return next((app for app in self._apps.values() if app.workspace_id == id), None)

    def _put_live(self, id: str, after: Workspace | None) -> None:
        before = self._live.pop(id, None) if after is None else self._live.get(id)
        if after is not None:
            after.shares = self.sharing.of(id)
            self._live[id] = after
        for listener in self._listeners:
            listener(before, after)
