"""Decisions: built-in roles, the rules of a workspace, whom it is shared with, and API keys."""
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runtime.calls import ADMIN, NOBODY, Identity, Presented
from runtime.permissions.decisions import Decision, decide, has_key, role_of, who_is
from runtime.permissions.rules import Rules, problems
from runtime.permissions.shares import PUBLIC, WORKSPACES, Grant, Subject, api_key, digest_of, role_target
from runtime.settings import RuntimeSettings
from runtime.workspace import Workspace

ALICE = Identity("alice", "s1", email="alice@acme.example", auth_data={"prismeai": {}})
GUEST = Identity("guest", "s2", auth_data={"anonymous": {}})
OWN = {"id": "w1", "name": "House"}


def workspace(*rules: dict[str, Any], roles: dict[str, Any] | None = None) -> Workspace:
    definition = {"id": "w1", "name": "House", "security": {"authorizations": {"roles": roles or {}, "rules": list(rules)}}}
    return Workspace.build(id="w1", slug="house", owner="olivia", revision=1, definition=definition, find_app=lambda slug, version: None,
                           settings=RuntimeSettings())


def share(house: Workspace, target: str, role: str | None = None, *policies: str, kind: str = WORKSPACES, id: str = "w1") -> None:
    house.shares.take(Grant("w1", Subject(kind, id), target, role, frozenset(policies), {}).item())


def may(house: Workspace, identity: Identity, action: str, subject: str = "workspaces", **fields: Any) -> Decision:
    return decide(house, who_is(house, identity), action, subject, {**OWN, **fields})


def test_the_owner_may_everything_and_no_rule_takes_it_away() -> None:
    house = workspace({"action": "manage", "subject": "all", "inverted": True})
    for owner in (Identity("olivia", "s"), ADMIN):
        assert role_of(house, owner) == "owner" and may(house, owner, "delete").is_allowed and may(house, owner, "manage_secrets").is_allowed


def test_a_session_that_an_automation_named_after_the_owner_is_nobody() -> None:
    house = workspace()
    share(house, "alice", "owner", "read")
    assert not may(house, Identity("alice", "s", is_login=False), "read").is_allowed
    for name in ("olivia", "admin", "alice"):
        assert role_of(house, Identity(name, "s", is_login=False)) is None


def test_an_editor_may_write_and_neither_delete_nor_share_nor_hold_keys_and_secrets() -> None:
    house = workspace()
    share(house, "alice", "editor")
    assert role_of(house, ALICE) == "editor"
    allowed = {action for action in ("read", "update", "test", "aggregate_search", "get_usage", "delete", "manage_permissions", "manage_security",
                                     "manage_keys", "manage_secrets") if may(house, ALICE, action).is_allowed}
    assert allowed == {"read", "update", "test", "aggregate_search", "get_usage"}


def test_strangers_may_do_nothing_but_emit() -> None:
    for stranger in (ALICE, GUEST, NOBODY):
        assert not may(workspace(), stranger, "read").is_allowed
        assert may(workspace(), stranger, "create", "events", type="x").is_allowed


def test_the_last_rule_that_applies_decides_roles_first_then_everybody() -> None:
    house = workspace({"action": "read", "subject": "workspaces", "inverted": True, "reason": "closed"},
                      {"role": "agent", "action": "read", "subject": "workspaces"}, roles={"agent": {}})
    share(house, "alice", "agent")
    assert may(house, ALICE, "read") == (False, "closed")
    house = workspace({"action": "read", "subject": "workspaces", "inverted": True}, {"action": ["read"], "subject": ["workspaces", "pages"]})
    assert may(house, GUEST, "read").is_allowed


def test_a_rule_is_for_its_roles_actions_and_subjects() -> None:
    house = workspace({"role": ["agent"], "action": "write", "subject": "workspaces"}, {"role": "boss", "action": "manage", "subject": "all"},
                      roles={"agent": {}, "boss": {}})
    share(house, "alice", "agent")
    assert may(house, ALICE, "update").is_allowed and not may(house, ALICE, "read").is_allowed and not may(house, ALICE, "update", "pages").is_allowed
    share(house, "alice", "boss")
    assert may(house, ALICE, "manage_secrets").is_allowed
    assert not may(house, GUEST, "update").is_allowed


def test_a_rule_about_what_is_not_known_of_the_caller_is_skipped() -> None:
    house = workspace({"action": "create", "subject": "events", "inverted": True, "conditions": {"payload.by": {"$ne": "{{user.id}}"}}, "reason": "not you"})
    assert may(house, ALICE, "create", "events", payload={"by": "bob"}) == (False, "not you")
    assert may(house, ALICE, "create", "events", payload={"by": "alice"}).is_allowed
    assert may(house, NOBODY, "create", "events", payload={"by": "bob"}).is_allowed


@pytest.mark.parametrize("broken", [{"action": "create"}, {"subject": "events"}, {"action": 1, "subject": "events"}, "rule",
                                    {"action": "create", "subject": "events", "conditions": {"$where": "1"}, "inverted": True}])
def test_what_is_wrong_with_a_rule_is_told(broken: Any) -> None:
    [problem] = problems({"authorizations": {"rules": [{"action": "read", "subject": "events"}, broken]}})
    assert problem["path"].startswith("authorizations.rules[1]")


def test_a_rule_that_cannot_be_understood_allows_nothing_and_forbids_all_it_could_mean() -> None:
    odd = {"conditions": {"x": {"$where": "1"}}}
    assert not may(workspace({"action": "read", "subject": "workspaces", **odd}), ALICE, "read").is_allowed
    assert not may(workspace({"action": "create", "subject": "events", "inverted": True, **odd}), ALICE, "create", "events").is_allowed
    for section in (None, [], {"authorizations": 1}, {"authorizations": {"rules": {}, "roles": []}}):
        assert Rules(section).concerning("read", "events") == ()


def test_a_share_gives_a_role_or_single_rights() -> None:
    house = workspace(roles={"agent": {}})
    share(house, "alice", None, "read")
    assert may(house, ALICE, "read").is_allowed and not may(house, ALICE, "update").is_allowed and not may(house, GUEST, "read").is_allowed
    share(house, PUBLIC, None, "read")
    assert may(house, NOBODY, "read").is_allowed
    share(house, "alice", "agent")
    share(house, role_target("agent"), None, "write")
    assert may(house, ALICE, "update").is_allowed and not may(house, GUEST, "update").is_allowed


def test_a_share_of_a_page_says_nothing_about_another_nor_the_workspace() -> None:
    house = workspace()
    share(house, "alice", None, "read", kind="pages", id="p1")
    assert may(house, ALICE, "read", "pages", id="p1").is_allowed
    assert not may(house, ALICE, "read", "pages", id="p2").is_allowed and not may(house, ALICE, "read").is_allowed


def test_a_login_brings_a_role_where_the_workspace_says_so() -> None:
    house = workspace({"role": "user", "action": "read", "subject": "workspaces"},
                      roles={"user": {"auth": {"prismeai": {"conditions": {"authData.email": {"$regex": "^.*@acme.example$"}}}}}})
    assert role_of(house, ALICE) == "user" and may(house, ALICE, "read").is_allowed
    assert role_of(house, GUEST) is None and role_of(house, replace(ALICE, email="alice@other.example")) is None


def test_a_key_adds_its_rules_in_its_own_workspace_only() -> None:
    house, other = workspace(), workspace()
    house.shares.take(api_key("w1", "mk-1", digest_of("mk-1.secret"), "reader", [{"action": "read", "subject": "workspaces"}]).item())
    with_key = replace(NOBODY, api_key=Presented("mk-1.secret"))
    assert has_key(house, with_key) and may(house, with_key, "read").is_allowed and not may(house, with_key, "update").is_allowed
    assert not has_key(other, with_key) and not may(other, with_key, "read").is_allowed
    for wrong in ("mk-1.other", "mk-1", "mk-1.", ""):
        assert not has_key(house, replace(NOBODY, api_key=Presented(wrong)))


def test_a_run_names_the_key_of_its_workspace_or_a_role_that_keys_have() -> None:
    house = workspace({"role": "machine", "action": "update", "subject": "workspaces"}, roles={"machine": {"auth": {"apiKey": {}}}, "agent": {}})
    assert may(house, replace(NOBODY, api_key=Presented(workspace_id="w1", name="machine")), "update").is_allowed
    assert not may(house, replace(NOBODY, api_key=Presented(workspace_id="w2", name="machine")), "update").is_allowed
    assert not has_key(house, replace(NOBODY, api_key=Presented(workspace_id="w1", name="agent")))
