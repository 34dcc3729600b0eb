"""The one place that decides who may do what in a workspace.

The owner may do everything. For all others the last rule that applies decides: rules for their roles come first, then those for
everybody, then those of the API key that they bring. Where no rule applies it is what a new workspace allows, and what it was
shared for.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.access import Bound, Reader
from runtime.calls import ADMIN, Identity
from runtime.permissions.conditions import as_condition, filled, holds
from runtime.permissions.rules import EDITOR, OWNER, Rule
from runtime.permissions.shares import APPS, PAGES, WORKSPACES, Subject
from store.query import EVERYTHING, predicate, value_at

if TYPE_CHECKING:
    from runtime.language.automation import Automation
    from runtime.workspace import Workspace

READ, UPDATE, DELETE, CREATE, EXECUTE = "read", "update", "delete", "create", "execute"
TEST, SEARCH, USAGE = "test", "aggregate_search", "get_usage"
SHARE, SECURE, KEYS, SECRETS = "manage_permissions", "manage_security", "manage_keys", "manage_secrets"
EVENTS, AUTOMATIONS = "events", "automations"

_EDITORS = {WORKSPACES: frozenset((READ, UPDATE, TEST, SEARCH, USAGE)), EVENTS: frozenset((READ, CREATE)),
            **dict.fromkeys((PAGES, APPS, AUTOMATIONS, "files"), frozenset((CREATE, READ, UPDATE, DELETE, EXECUTE)))}
_NOTHING: frozenset[str] = frozenset()
_POLICIES = {"write": frozenset((CREATE, UPDATE))}
"""What a policy of a share allows beside its own name."""


class Who(NamedTuple):
    """A caller as the rules of one workspace see one."""

    user_id: str | None = None
    session_id: str | None = None
    email: str | None = None
    auth_data: dict[str, Any] | None = None
    roles: frozenset[str] = _NOTHING
    topics: frozenset[str] = _NOTHING
    key_rules: tuple[Rule, ...] = ()
    login_id: str | None = None
    """The user, if they proved to be it: an automation may say that somebody is somebody, and that shares nothing."""

    def known(self, name: str) -> Any:
        """What stands for a placeholder; None when there is nothing."""
        match name:
            case "user.id":
                return self.user_id
            case "session.id":
                return self.session_id
            case "user.email":
                return self.email
            case "user.role":
                return min(self.roles, default=None)
            case "user.topics":
                return tuple(sorted(self.topics)) if self.user_id is not None else None
        path = tuple(name.split("."))
        return value_at(self.auth_data, path[2:]) if path[:2] == ("user", "authData") else None


class Decision(NamedTuple):
    is_allowed: bool
    reason: str | None = None
    """What the rule that decided says about it."""


_ALLOWED, _REFUSED = Decision(True), Decision(False)


def role_of(workspace: Workspace, identity: Identity) -> str | None:
    """The role of a caller in a workspace: its owner's, the one it was shared for, or the one that a provider brings."""
    return next(_roles(workspace, identity), None)


def who_is(workspace: Workspace, identity: Identity, topics: frozenset[str] = _NOTHING) -> Who:
    """`identity.role`, where it is known already, counts too."""
    known = (identity.role,) if identity.role is not None else ()
    user_id = identity.user_id
    return Who(user_id, identity.session_id, identity.email, identity.auth_data, frozenset((*known, *_roles(workspace, identity))),
               topics, tuple(_key_rules(workspace, identity)), user_id if identity.is_login else None)


def decide(workspace: Workspace, who: Who, action: str, subject: str, fields: dict[str, Any]) -> Decision:
    """Whether the caller may do this to the subject with these fields."""
    if OWNER in who.roles or action == EXECUTE and EDITOR in who.roles:
        return _ALLOWED
    for rule in reversed(_rules(workspace, who, action, subject)):
        if rule.conditions is None or holds(filled(rule.conditions, who.known), fields):
            return Decision(not rule.is_inverted, rule.reason)
    return _ALLOWED if _is_allowed_unruled(workspace, who, action, subject, fields) else _REFUSED


def may_execute(workspace: Workspace, identity: Identity, automation: Automation, topics: frozenset[str]) -> Decision:
    """Whether the caller may run an automation that says `authorizations.action`."""
    if identity.role == OWNER or identity.role == EDITOR:
        return _ALLOWED
    fields = {**automation.document, "slug": automation.full_slug}
    return decide(workspace, who_is(workspace, identity, topics), EXECUTE, AUTOMATIONS, fields)


def has_key(workspace: Workspace, identity: Identity) -> bool:
    """Whether the caller brings an API key of this workspace."""
    presented = identity.api_key
    if presented is None or presented.name and presented.workspace_id != workspace.id:
        return False
    return workspace.shares.key_of(presented) is not None or any(_key_rules(workspace, identity))


def reader_of(workspace: Workspace, who: Who, *, sees_context_updates: bool = False) -> Reader:
    """The caller as a reader of events. It holds until the workspace, its shares or the caller's topics change."""
    role = OWNER if OWNER in who.roles else EDITOR if EDITOR in who.roles else min(who.roles, default=None)
    rules = () if role == OWNER else tuple(map(_bound(who), _rules(workspace, who, READ, EVENTS)))
    return Reader(who.user_id, who.session_id, role, who.topics, sees_context_updates, rules)


def _bound(who: Who) -> Any:
    def bound(rule: Rule) -> Bound:
        condition = EVERYTHING
        if rule.conditions is not None:
            condition = as_condition(filled(rule.conditions, who.known), is_wide=rule.is_inverted)
        return Bound(not rule.is_inverted, condition, predicate(condition))
    return bound


def _rules(workspace: Workspace, who: Who, action: str, subject: str) -> list[Rule]:
    found = [rule for rule in workspace.rules.concerning(action, subject) if rule.is_about(who.roles, who.known)]
    return found + [rule for rule in who.key_rules if rule.concerns(action, subject) and rule.is_about(rule.roles or _NOTHING, who.known)]


def _is_allowed_unruled(workspace: Workspace, who: Who, action: str, subject: str, fields: dict[str, Any]) -> bool:
    if EDITOR in who.roles and action in _EDITORS.get(subject, _NOTHING):
        return True
    if subject == EVENTS:
        return action == CREATE
    shared = Subject(subject, workspace.id if subject == WORKSPACES else str(fields.get("id") or fields.get("slug") or ""))
    return any(action in _allowed_by(policy) for grant in workspace.shares.for_user(shared, who.login_id, who.roles) for policy in grant.policies)


def _allowed_by(policy: str) -> frozenset[str]:
    return _POLICIES.get(policy, _NOTHING) | {policy}


def _roles(workspace: Workspace, identity: Identity) -> Iterator[str]:
    user_id = identity.user_id if identity.is_login else None
    if user_id is not None and user_id in (workspace.owner, ADMIN.user_id):
        yield OWNER
    for grant in workspace.shares.for_user(Subject(WORKSPACES, workspace.id), user_id):
        if grant.role is not None:
            yield grant.role
    if user_id is not None and workspace.rules.automatic:
        yield from _automatic(workspace, identity)


def _automatic(workspace: Workspace, identity: Identity) -> Iterator[str]:
    providers = identity.auth_data or {}
    for role, provider, conditions in ((one.role, one.provider, one.conditions) for one in workspace.rules.automatic):
        facts = providers.get(provider)
        if facts is None and not (provider == "prismeai" and "anonymous" not in providers):
            continue
        fields = {"email": identity.email, "authData": {"email": identity.email, **(facts if type(facts) is dict else {})}}
        if conditions is None or holds(conditions, fields):
            yield role


def _key_rules(workspace: Workspace, identity: Identity) -> Iterator[Rule]:
    presented = identity.api_key
    if presented is None or presented.name and presented.workspace_id != workspace.id:
        return
    key = workspace.shares.key_of(presented)
    if key is not None:
        yield from key.rules
    name = presented.name or (key.name if key is not None else None)
    if name:
        yield from workspace.rules.of_key(name)
