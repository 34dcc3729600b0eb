"""The live snapshot of a workspace: its automations, its app instances, its triggers. Never changed, only replaced."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import quote

from runtime.configuration import resolve_config
from runtime.contexts import Cell
from runtime.language.automation import Automation
from runtime.permissions.rules import Rules
from runtime.permissions.shares import Shares
from runtime.redaction import NO_TEXTS, SecretPaths, collect, secret_fields
from runtime.secrets import RATES
from runtime.settings import RuntimeSettings
from runtime.triggers import TriggerIndex
from runtime.values import copy
from store.records import ContextKey

FindApp = Callable[[str, str | None], dict[str, Any] | None]
_DEEPEST_APP = 20


class Instance:
    """A workspace seen from inside: the workspace itself (`path` is empty) or one installed app."""

    def __init__(self, workspace_id: str, path: str, definition: dict[str, Any], config: dict[str, Any], settings: RuntimeSettings,
                 *, declared: dict[str, Any] | None = None, app_slug: str | None = None, parent: Instance | None = None,
                 secrets: Mapping[str, str] | None = None) -> None:
        """`declared` is the config with secrets as references, where that differs."""
        self.workspace_id = workspace_id
        self.path = path
        self.prefix = path + "." if path else ""
        self.slug = path.rpartition(".")[2]
        self.depth = path.count(".") + 1 if path else 0
        self.app_slug = app_slug
        self.parent = parent
        self.definition = definition
        self.config = config
        self.declared = config if declared is None else declared
        self.secrets = secrets or {}
        """What `{{secret}}` reads here: an app sees none but those that its config passes on."""
        self.settings = settings
        self.imports: dict[str, Instance] = {}
        self.home: Workspace
        """The revision that it is a part of."""
        self.config_cell = Cell(ContextKey(workspace_id, "config", path), config)
        """What `{{config}}` reads: the definition, and what runs have set over it."""
        self.automations = {slug: Automation(document.get("slug") or slug, document, self)
                            for slug, document in (definition.get("automations") or {}).items()
                            if document.get("disabled") is not True}
        if any(slug != automation.slug for slug, automation in self.automations.items()):
            self.automations = {automation.slug: automation for automation in self.automations.values()}

    def resolve(self, slug: str) -> Automation | None:
        """What a call names: an automation of this instance, or `instance.automation` of a direct import that is not private."""
        automation = self.automations.get(slug)
        if automation is None and "." in slug:
            name, _, rest = slug.partition(".")
            instance = self.imports.get(name)
            automation = instance.automations.get(rest) if instance else None
            if automation is not None and automation.private:
                return None
        return automation

    @cached_property
    def secret_fields(self) -> SecretPaths:
        """Where the config holds what is to be hidden."""
        return secret_fields((self.definition.get("config") or {}).get("schema") or {})

    @cached_property
    def endpoint_urls(self) -> dict[str, str]:
        base = f"{self.settings.api_url}/workspaces/{self.workspace_id}/webhooks/"
        return {a.endpoint: base + quote(self.prefix + a.endpoint, safe="/:*") for a in self.automations.values() if a.endpoint}

    @cached_property
    def source(self) -> dict[str, Any]:
        """What events made here say about where they come from."""
        if not self.path:
            return {"workspaceId": self.workspace_id}
        return {"workspaceId": self.workspace_id, "appSlug": self.app_slug, "appInstanceFullSlug": self.path,
                "appInstanceDepth": self.depth}


class Workspace:
    """One revision of a workspace, ready to run."""

    def __init__(self, id: str, slug: str, owner: str, revision: int, definition: dict[str, Any], root: Instance,
                 settings: RuntimeSettings, secrets: Mapping[str, str] | None = None, *, is_suspended: bool = False) -> None:
        self.id = id
        self.slug = slug
        self.owner = owner
        self.revision = revision
        self.definition = definition
        self.name: str = definition.get("name") or slug
        self.root = root
        self.settings = settings
        self.shares = Shares()
        """Of the workspace, whatever its revision: see `runtime.catalog.shelf`."""
        self.secrets = secrets or {}
        self.instances: dict[str, Instance] = {}
        self._list(root)
        self.is_suspended = is_suspended
        self.triggers = TriggerIndex(() if is_suspended else self.instances.values())

    @classmethod
    def build(cls, *, id: str, slug: str, owner: str, revision: int, definition: dict[str, Any], find_app: FindApp,
              settings: RuntimeSettings, secrets: Mapping[str, str] | None = None, is_suspended: bool = False) -> Workspace:
        config = resolve_config(definition, settings.workspace_config, slug, secrets or {})
        declared = resolve_config(definition, settings.workspace_config, slug, {}) if secrets else config
        root = Instance(id, "", definition, config, settings, declared=declared, secrets=secrets)
        _install(root, find_app, settings, (), definition.get("id") or id)
        return cls(id, slug, owner, revision, definition, root, settings, secrets, is_suspended=is_suspended)

    @cached_property
    def rules(self) -> Rules:
        """Who may do what, as its definition says."""
        return Rules(self.definition.get("security"))

    @property
    def automations(self) -> dict[str, Automation]:
        return self.root.automations

    def automation(self, full_slug: str) -> Automation | None:
        """By the slug with its instance path, `nlu.french.parse`."""
        path, _, slug = full_slug.rpartition(".")
        while True:                                      # slugs may contain dots: take the longest instance path
            instance = self.instances.get(path)
            if instance is not None:
                return instance.automations.get(full_slug[len(instance.prefix):])
            if not path:
                return None
            path = path.rpartition(".")[0]

    @cached_property
    def hidden_texts(self) -> frozenset[str]:
        """What no native event may show: the secrets, and config fields declared secret, here and in the installed apps."""
        found = {value for name, value in self.secrets.items() if not name.startswith(RATES)}
        for instance in self.instances.values():
            if instance.secret_fields:
                found |= collect(instance.secret_fields, instance.config)
        return frozenset(found) if found else NO_TEXTS

    def _list(self, instance: Instance) -> None:
        self.instances[instance.path] = instance
        instance.home = self
        for below in instance.imports.values():
            self._list(below)


def _install(parent: Instance, find_app: FindApp, settings: RuntimeSettings, above: tuple[str, ...], home: str) -> None:
    """Build the instances of every import. An app that is not there, or contains itself, is left out; the rest still loads."""
    for name, imported in (parent.definition.get("imports") or {}).items():
        slug = imported.get("appSlug") if isinstance(imported, dict) else None
        if not isinstance(slug, str) or imported.get("disabled") is True or slug in above or len(above) >= _DEEPEST_APP:
            continue
        definition = find_app(slug, imported.get("appVersion"))
        if definition is None or definition.get("id") == home:
            continue
        over, declared = imported.get("config"), None
        config = resolve_config(definition, settings.app_config, slug, parent.secrets, over=over, parent=parent.config)
        if parent.secrets or parent.declared is not parent.config:
            declared = resolve_config(definition, settings.app_config, slug, {}, over=over, parent=parent.declared)
        instance = Instance(parent.workspace_id, parent.prefix + name, copy(definition), config, settings, declared=declared,
                            app_slug=slug, parent=parent)
        parent.imports[name] = instance
        _install(instance, find_app, settings, (*above, slug), home)
