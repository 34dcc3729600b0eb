"""Webhooks over HTTP: what the automation sees of a request, and what the caller sees of the output."""
from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import FormData
from door import OWNER, House, house
from yarl import URL

ECHO = """
name: Echo
automations:
  main: {when: {endpoint: true}, do: [], output: '{{body}}'}
  seen: {when: {endpoint: true}, do: [], output: {method: '{{method}}', query: '{{query}}', headers: '{{headers}}', body: '{{body}}'}}
  my hook: {when: {endpoint: true}, do: [], output: {ok: true}}
  files: {when: {endpoint: 'files/*path'}, do: [], output: '{{pathParams}}'}
  signed: {when: {endpoint: true}, arguments: {rawBody: {type: string}}, do: [], output: {raw: '{{rawBody}}', body: '{{body}}'}}
  who: {when: {endpoint: true}, do: [], output: {user: '{{user.id}}', session: '{{session.id}}', role: '{{user.role}}', ip: '{{run.ip}}'}}
  nothing: {when: {endpoint: true}, do: []}
  gives: {when: {endpoint: true}, do: [], output: '{{body.value}}'}
  text: {when: {endpoint: true}, do: [], output: 'Hello {{body.name}}'}
  fails: {when: {endpoint: true}, do: [{missing: {}}]}
  styled:
    when: {endpoint: true}
    do:
      - set: {name: $http, value: {status: 201, headers: {Content-Type: text/csv, X-Made: "yes\\r\\nx-evil: 1", content-length: 3}}}
    output: 'a,b'
  badHeader:
    when: {endpoint: true}
    do: [{set: {name: $http, value: {headers: {'bad name:': 1}}}}]
  secret: {do: [], output: {got: '{{x}}', type: '{{run.trigger.type}}'}}
"""


@pytest.fixture
async def echo() -> AsyncIterator[House]:
    async with house(ECHO) as opened:
        yield opened


@pytest.mark.parametrize("value", [{"a": [1, {"b": None}]}, [1, [2]], "text", 7, 1.5, True, [], {}])
async def test_any_json_value_arrives_unchanged(echo: House, value: Any) -> None:
    _, answer, _ = await echo.call("seen", json=value)
    assert answer["body"] == value


async def test_who_declares_rawBody_gets_the_bytes_that_were_signed(echo: House) -> None:
    text = '{"b": 1,\n "a":  "é"}'
    _, answer, _ = await echo.call("signed", data=text.encode(), headers={"content-type": "application/json"})
    assert answer == {"raw": text, "body": {"b": 1, "a": "é"}}
    _, answer, _ = await echo.call("signed", data=b"a=1&b=%20", headers={"content-type": "application/x-www-form-urlencoded"})
    assert answer == {"raw": "a=1&b=%20", "body": {"a": "1", "b": " "}}


@pytest.mark.parametrize(("text", "body"), [
    ("a=1&b=x+y", {"a": "1", "b": "x y"}),
    ("k=1&k=2&k=3", {"k": ["1", "2", "3"]}),
    ("k[]=1", {"k": ["1"]}),
    ("k[]=1&k[]=2", {"k": ["1", "2"]}),
    ("k[a]=1&k[b]=2&k[a]=3", {"k": {"a": ["1", "3"], "b": "2"}}),
    ("k[a][b][]=1", {"k": {"a": {"b": ["1"]}}}),
    ("k[=1&]=2&[x]=3&k]=4", {"k[": "1", "]": "2", "[x]": "3", "k]": "4"}),
    ("k=1&k[a]=2", {"k": ["1", {"a": "2"}]}),
    ("empty=&bare", {"empty": "", "bare": ""}),
    ("%C3%A9=%ff", {"é": "\ufffd"}),
])
async def test_a_form_and_a_query_follow_the_same_rules(echo: House, text: str, body: Any) -> None:
    _, answer, _ = await echo.request("POST", f"/v2/workspaces/{echo.id}/webhooks/seen?{text}", data=text,
                                      headers={"content-type": "application/x-www-form-urlencoded; charset=utf-8"})
    assert answer["body"] == answer["query"] == body


async def test_a_multipart_body_gives_texts_and_files(echo: House) -> None:
    form = FormData(quote_fields=False)
    form.add_field("note", "hé")
    form.add_field("doc", b"hello", filename="../a dir/a.txt", content_type="text/plain")
    form.add_field("tag", "one")
    form.add_field("tag", "two")
    for name in ("1.bin", "2.bin", "3.bin"):
        form.add_field("many", b"\x00\xff\r\n--", filename=name)
    _, answer, _ = await echo.call(data=form)
    assert answer["note"] == "hé" and answer["tag"] == ["one", "two"]
    assert answer["doc"] == {"originalname": "a.txt", "encoding": "7bit", "mimetype": "text/plain", "size": 5, "base64": "aGVsbG8="}
    assert [file["originalname"] for file in answer["many"]] == ["1.bin", "2.bin", "3.bin"]
    assert base64.b64decode(answer["many"][1]["base64"]) == b"\x00\xff\r\n--"


@pytest.mark.parametrize(("kind", "data", "body"), [
    ("text/plain", "hé".encode(), "hé"),
    ("text/xml; charset=latin-1", "hé".encode("latin-1"), "hé"),
    ("application/pdf", b"\x00\x01", {"base64": "AAE=", "mimetype": "application/pdf", "size": 2}),
    ("application/vnd.api+json", b'{"a":1}', {"a": 1}),
    ("application/json; charset=utf-8", b'{"a":1}', {"a": 1}),
    ("APPLICATION/JSON", b'{"a":1}', {"a": 1}),
    ("application/json", b"", {}),
    ("application/pdf", b"", {}),
    ("text/plain", b"", {}),
])
async def test_other_bodies_follow_their_content_type(echo: House, kind: str, data: bytes, body: Any) -> None:
    _, answer, _ = await echo.call("seen", data=data, headers={"content-type": kind})
    assert answer["body"] == body


async def test_without_a_body_there_is_an_empty_object(echo: House) -> None:
    for method in ("GET", "POST", "DELETE"):
        _, answer, _ = await echo.call("seen", method)
        assert (answer["method"], answer["body"], answer["query"]) == (method, {}, {})


async def test_a_body_in_chunks_is_read_whole(echo: House) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        for part in (b'{"a"', b": ", b"1}"):
            yield part
            await asyncio.sleep(0)
    _, answer, _ = await echo.call(data=slowly(), headers={"content-type": "application/json"})
    assert answer == {"a": 1}


async def test_headers_of_the_platform_and_of_proxies_are_hidden(echo: House) -> None:
    hidden = {"cookie": "a=b", "x-prismeai-role": "owner", "x-prismeai-workspace-id": "forged", "x-forwarded-for": "1.2.3.4", "x-real-ip": "1.2.3.4",
              "x-correlation-id": "mine", "host": "example.org", "X-Forwarded-Anything": "1"}
    shown = {"x-hubspot-signature": "sig", "accept-language": "fr", "authorization": "Basic abc"}
    _, answer, response = await echo.call("seen", headers={**hidden, **shown})
    headers = answer["headers"]
    assert {name: headers.get(name) for name in shown} == shown
    assert not {name.lower() for name in hidden} & headers.keys()
    assert response.headers["x-correlation-id"] != "mine"


async def test_a_token_of_ours_is_hidden_and_somebody_elses_is_not(echo: House) -> None:
    _, answer, _ = await echo.call("seen", headers=await echo.as_somebody())
    assert "authorization" not in answer["headers"]
    _, answer, _ = await echo.call("seen", headers={"authorization": "Bearer of-another-platform"})
    assert answer["headers"]["authorization"] == "Bearer of-another-platform"


async def test_the_automation_knows_who_calls(echo: House) -> None:
    assert (await echo.call("who"))[1] == {"ip": "127.0.0.1"}
    login = await echo.login()
    _, answer, response = await echo.call("who", headers={"authorization": f"Bearer {login['token']}"})
    assert answer == {"user": login["id"], "session": login["sessionId"], "ip": "127.0.0.1"}
    assert response.headers["x-prismeai-session-id"] == login["sessionId"]
    assert (await echo.call("who", headers=OWNER))[1]["role"] == "owner"


async def test_the_path_is_decoded_once(echo: House) -> None:
    assert (await echo.call("my%20hook"))[1] == {"ok": True}
    assert (await echo.call("files/a/b%20c.txt"))[1] == {"path": "a/b c.txt"}
    status, answer, _ = await echo.call("my%2520hook")
    assert status == 404 and answer["details"]["endpoint"] == "my%20hook"


@pytest.mark.parametrize(("value", "raw", "kind"), [
    (None, b"{}", "application/json"), ("", b"{}", "application/json"), (False, b"false", "application/json"), (0, b"0", "application/json"),
    ("é <b>", "é <b>".encode(), "text/html"), ([1, None], b"[1,null]", "application/json"), ({"a": {}}, b'{"a":{}}', "application/json"),
])
async def test_the_output_is_the_answer(echo: House, value: Any, raw: bytes, kind: str) -> None:
    async with echo.open("gives", json={"value": value}) as response:
        assert (response.status, await response.read(), response.content_type, response.charset) == (200, raw, kind, "utf-8")


async def test_an_absent_output_is_an_empty_object(echo: House) -> None:
    assert (await echo.call("nothing"))[1] == {} == (await echo.call("gives", json={}))[1]


async def test_status_and_headers_are_those_of_the_automation_but_never_the_framing(echo: House) -> None:
    status, answer, response = await echo.call("styled")
    assert (status, answer, response.content_type) == (201, b"a,b", "text/csv")
    assert "x-evil" not in response.headers and response.headers["content-length"] == "3"


async def test_a_header_that_is_none_is_the_authors_mistake(echo: House) -> None:
    status, answer, _ = await echo.call("badHeader")
    assert (status, answer["error"]) == (400, "InvalidInstructionError")


async def test_head_is_get_without_a_body_and_options_is_a_preflight(echo: House) -> None:
    status, answer, response = await echo.call("text", "HEAD")
    assert (status, answer, response.headers["content-length"]) == (200, b"", "6")
    status, _, response = await echo.call("text", "OPTIONS", headers={"origin": "http://localhost:8700", "access-control-request-method": "PUT"})
    assert status == 204 and "PUT" in response.headers["access-control-allow-methods"]
    assert response.headers["access-control-allow-origin"] == "http://localhost:8700"
    assert (await echo.call("text", "PROPFIND"))[1]["error"] == "MethodNotAllowed"


async def test_only_known_pages_may_read_the_answer(echo: House) -> None:
    for origin, allowed in (("http://localhost:8700", True), ("http://shop.pages.localhost:8700", True), ("https://evil.example", False),
                            ("http://evilpages.localhost:8700", False), ("null", False), ("http://[", False)):
        _, _, response = await echo.call("text", headers={"origin": origin})
        assert (response.headers.get("access-control-allow-origin") == origin) is allowed, origin
        assert response.headers["vary"] == "Origin"


async def test_errors_have_the_documented_form_and_a_correlation_id(echo: House) -> None:
    for request, status, error in ((echo.call("fails"), 404, "ObjectNotFoundError"), (echo.call("nope"), 404, "ObjectNotFoundError"),
                                   (echo.request("GET", "/v2/workspaces/zzzzzzz/webhooks/x"), 404, "ObjectNotFoundError"),
                                   (echo.request("GET", "/nope"), 404, "NotFoundError"), (echo.request("PUT", "/v2/me"), 405, "MethodNotAllowed")):
        got, answer, response = await request
        assert (got, answer["error"]) == (status, error) and answer["message"]
        assert response.headers["x-correlation-id"]


async def test_the_test_endpoint_is_for_owners(echo: House) -> None:
    path = f"/v2/workspaces/{echo.id}/test/secret"
    assert (await echo.request("POST", path, json={"payload": {"x": 3}}, headers=OWNER))[1] == {"got": 3, "type": "automation"}
    assert (await echo.request("POST", path, headers=OWNER))[1] == {"type": "automation"}
    assert (await echo.request("POST", path, json={}))[0] == 401
    assert (await echo.request("POST", path, json={}, headers=await echo.as_somebody()))[1]["error"] == "ForbiddenError"
    assert (await echo.request("POST", path, json={"payload": [1]}, headers=OWNER))[1]["error"] == "RequestValidationError"
    assert (await echo.request("POST", "/v2/workspaces/zzzzzzz/test/x", json={}, headers=OWNER))[0] == 404


async def test_an_encoded_slash_is_part_of_its_parameter(echo: House) -> None:
    await echo.load("{name: Echo, automations: {one: {when: {endpoint: 'users/:id'}, do: [], output: '{{pathParams}}'}}}")
    for path, id in (("a%2Fb", "a/b"), ("a%2fb%20c", "a/b c"), ("100%25", "100%"), ("%C3%A9%2B+", "é++")):
        _, answer, _ = await echo.request("POST", URL(f"/v2/workspaces/{echo.id}/webhooks/users/{path}", encoded=True))
        assert answer == {"id": id}
