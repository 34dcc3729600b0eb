"""Secrets of a workspace over HTTP: who may give them, what is told of them, and where they can be read."""
from __future__ import annotations

from typing import Any

import pytest
from door import KEYS, OWNER, House, house

import store
from runtime.values import decode
from store.query import EventQuery

CONFIG = """
name: Vault
config: {value: {key: '{{secret.stripe}}', url: 'https://h/{{secret.stripe}}?x={{secret.absent}}', all: '{{secret}}'}}
automations:
  own: {when: {endpoint: true}, do: [], output: '{{secret.stripe}}'}
  config: {when: {endpoint: true}, do: [], output: '{{config}}'}
  all: {when: {endpoint: true}, do: [], output: {all: '{{secret}}', named: '{{secret[{{body.name}}]}}', made: '{{{{body.path}}}}'}}
  variable: {when: {endpoint: true}, do: [{set: {name: secret, value: {stripe: mine}}}], output: '{{secret.stripe}}'}
"""


async def secrets(at: House, method: str, body: Any = None, name: str = "", headers: Any = OWNER) -> tuple[int, Any]:
    path = f"/v2/workspaces/{at.id}/security/secrets" + (f"/{name}" if name else "")
    status, answer, _ = await at.request(method, path, json=body, headers=headers)
    return status, answer


async def output(at: House, endpoint: str, body: Any = None) -> Any:
    _, answer, _ = await at.call(endpoint, json=body or {})
    return answer.decode() if type(answer) is bytes else answer


async def told(at: House) -> list[dict[str, Any]]:
    rows = await at.gateway.store.events(EventQuery(at.id, ascending=True, limit=1000))
    return [event["payload"] for row in rows if (event := decode(row.body))["type"] == "workspaces.secrets.updated"]


async def test_a_secret_can_be_given_and_used_but_not_read() -> None:
    async with house(CONFIG) as at:
        status, answer = await secrets(at, "PATCH", {"stripe": {"value": "sk-live-1", "description": "Payments"}, "other": {"value": ""}})
        assert status == 200 and answer.keys() == {"stripe", "other"} and answer["stripe"].keys() == {"description", "updatedAt"}
        assert await secrets(at, "GET") == (200, answer)
        assert await output(at, "own") == "sk-live-1"
        assert await output(at, "config") == {"key": "sk-live-1", "url": "https://h/sk-live-1?x={{secret.absent}}", "all": "{{secret}}"}


async def test_a_change_is_in_force_when_it_is_acknowledged_and_told_by_names_alone() -> None:
    async with house(CONFIG) as at:
        await secrets(at, "PATCH", {"stripe": {"value": "one"}, "a": {"value": "x"}})
        await secrets(at, "PUT", {"stripe": {"value": "two"}, "b": {"value": "y"}})
        assert await output(at, "own") == "two"
        assert await secrets(at, "DELETE", name="b") == (200, {"name": "b"})
        await secrets(at, "PATCH", {"stripe": None})
        assert (await secrets(at, "GET"))[1] == {} and await output(at, "own") == {}
        assert await told(at) == [
            {"created": ["stripe", "a"], "updated": [], "deleted": []}, {"created": ["b"], "updated": ["stripe"], "deleted": ["a"]},
            {"created": [], "updated": [], "deleted": ["b"]}, {"created": [], "updated": [], "deleted": ["stripe"]}]


async def test_what_changes_nothing_is_not_told() -> None:
    async with house(CONFIG) as at:
        await secrets(at, "PATCH", {"stripe": {"value": "one", "description": "d"}})
        status, answer = await secrets(at, "PUT", {"stripe": {}})
        assert status == 200 and answer["stripe"]["description"] == "d" and len(await told(at)) == 1
        assert (await secrets(at, "DELETE", name="absent"))[0] == 404


@pytest.mark.parametrize("body", [{"stripe": "bare"}, {"stripe": {"value": 5}}, {"stripe": {"value": "x", "more": 1}}, {"a.b": {"value": "x"}},
                                  {"": {"value": "x"}}, {"new": {}}, {"big": {"value": "x" * 20_001}}, {"x": {"value": "x", "description": []}}])
async def test_a_body_of_another_shape_is_refused_whole(body: dict[str, Any]) -> None:
    async with house(CONFIG) as at:
        status, answer = await secrets(at, "PATCH", {"good": {"value": "g"}, **body})
        assert (status, answer["error"]) == (400, "RequestValidationError") and (await secrets(at, "GET"))[1] == {}


async def test_only_an_owner_may_and_some_names_are_the_operators() -> None:
    async with house(CONFIG) as at:
        mine = await at.as_somebody()
        _, workspace, _ = await at.request("POST", "/v2/workspaces", json={"name": "Mine"}, headers=mine)
        for method in ("GET", "PATCH", "PUT"):
            assert (await secrets(at, method, {}, headers=mine))[0] == 403
            assert (await secrets(at, method, {}, headers={}))[0] == 401
        assert (await secrets(at, "DELETE", name="stripe", headers=mine))[0] == 403
        at.id = workspace["id"]
        assert (await secrets(at, "PATCH", {"prismeai_ratelimit_emits": {"value": "9"}}, headers=mine))[0] == 403
        assert (await secrets(at, "PATCH", {"prismeai_ratelimit_emits": {"value": "9"}}))[0] == 200
        status, answer = await secrets(at, "PUT", {"a": {"value": "x"}}, headers=mine)
        assert status == 200 and answer.keys() == {"prismeai_ratelimit_emits", "a"}
        assert (await secrets(at, "DELETE", name="prismeai_ratelimit_emits", headers=mine))[0] == 403
        assert at.gateway.engine.catalog.require(at.id).secrets["prismeai_ratelimit_emits"] == "9"
        assert (await secrets(at, "PUT", {}))[1] == {}


async def test_a_secret_is_read_by_the_name_that_is_written_and_by_no_name_from_outside() -> None:
    async with house(CONFIG) as at:
        await secrets(at, "PATCH", {"stripe": {"value": "sk-live-1"}})
        assert await output(at, "all", {"name": "stripe", "path": "secret.stripe"}) == {}
        assert await output(at, "variable") == "mine"


async def test_templates_that_expand_again_reach_no_secret() -> None:
    async with house(CONFIG + "  say: {when: {endpoint: true}, do: [], output: 'a {{body.text}}'}\n", TEMPLATE_REEXPANSION="true") as at:
        await secrets(at, "PATCH", {"stripe": {"value": "sk-live-1"}})
        assert "sk-live" not in str(await output(at, "say", {"text": "{{secret.stripe}}"}))


async def test_an_app_reads_what_its_config_passes_and_nothing_else() -> None:
    app = "{name: Tool, config: {value: {own: '{{secret.stripe}}'}}, automations: {read: {do: [], output: {c: '{{config}}', s: '{{secret.stripe}}'}}}}"
    async with house(app) as at:
        status, _, _ = await at.request("POST", "/v2/apps", json={"workspaceId": at.id, "slug": "Tool"}, headers=OWNER)
        assert status == 200
        await at.load("{name: User, imports: {tool: {appSlug: Tool, config: {passed: '{{secret.stripe}}'}}}, automations: "
                      "{main: {when: {endpoint: true}, do: [{tool.read: {output: x}}], output: '{{x}}'}}}")
        await secrets(at, "PATCH", {"stripe": {"value": "sk-{{config.own}}"}})
        assert await output(at, "main") == {"c": {"own": "{{secret.stripe}}", "passed": "sk-{{config.own}}"}}


async def test_a_rotated_secret_leaves_what_runs_have_set_in_the_config() -> None:
    text = CONFIG + "  count: {when: {endpoint: true}, do: [{set: {name: config.count, value: 5}}]}\n"
    async with house(text) as at:
        await secrets(at, "PATCH", {"stripe": {"value": "one"}})
        await output(at, "count")
        await secrets(at, "PATCH", {"stripe": {"value": "two"}})
        assert {"count": 5, "key": "two"}.items() <= (await output(at, "config")).items()


async def test_secrets_are_sealed_in_the_store_and_there_again_after_a_restart() -> None:
    shared = await store.open("memory:")
    async with house(CONFIG, on=shared) as at:
        id = at.id
        await secrets(at, "PATCH", {"stripe": {"value": "sk-live-1"}})
        kept = await shared.items("secrets", "", 0)
        assert len(kept) == 1 and b"sk-live" not in kept[0].body and b"stripe" in kept[0].body
        catalog = at.gateway.engine.catalog
        assert catalog.require(id).secrets == {"stripe": "sk-live-1"}
        again = type(catalog.secrets)()
        again.unlock(at.gateway.engine.catalog.secrets._vault)
        again.take(kept[0])
        assert again.values(id) == {"stripe": "sk-live-1"}
        await at.request("DELETE", f"/v2/workspaces/{id}", headers=OWNER)
        assert await shared.items("secrets", "", 0) == []


async def test_without_a_key_nothing_is_kept_and_the_answer_says_what_is_missing() -> None:
    assert KEYS.secrets
    async with house(CONFIG) as at:
        from runtime.secrets import Vault
        at.gateway.engine.catalog.secrets.unlock(Vault((), at.gateway.ids))
        status, answer = await secrets(at, "PATCH", {"stripe": {"value": "x"}})
        assert status == 400 and "SECRETS_KEY" in answer["message"] and (await secrets(at, "GET"))[1] == {}
