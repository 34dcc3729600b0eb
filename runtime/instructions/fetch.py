"""fetch: send an HTTP request and keep the answer, or pass its stream on as it arrives."""
from __future__ import annotations

from collections.abc import Awaitable
from contextlib import aclosing
from typing import Any

from runtime.errors import InvalidInstruction
from runtime.instructions.body import as_map
from runtime.instructions.pace import paced
from runtime.instructions.step import At, Frame, Outcome, Step, Store
from runtime.modules import secrets
from runtime.outbound import Reply, Request, basic_authorization, bodies, normal_url
from runtime.outbound.signing import AwsCredentials, sign
from runtime.outbound.streams import EventStream
from runtime.redaction import REDACTED, Redactor
from runtime.throttles import EMITS, FETCHS
from runtime.values import UNDEFINED, encode

_METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"))
_MAY_HOLD_SECRETS = ("url", "headers", "query", "body", "multipart", "auth")
_MAX_REPORTED = 25_000


def build(body: Any, at: At, c: Any) -> Step:
    body = as_map("fetch", body)
    parameters = c.value({name: value for name, value in body.items() if name != "output"})
    store = c.output(body)

    def run(frame: Frame) -> Outcome | Awaitable[Outcome]:
        return _fetch(frame, parameters(frame), store)
    return run


async def _fetch(frame: Frame, parameters: dict[str, Any], store: Store) -> None:
    if frame.throttle is not None and (turn := frame.throttle.turn(FETCHS)) is not None:
        await turn
    revealed, masks = await _with_secrets(frame, parameters)
    request = prepare(frame, revealed, shown=parameters["url"] if masks and "url" in parameters else "")
    await frame.leave()
    reply = await frame.outbound.request(request)
    if reply.status >= 400 and parameters.get("emitErrors") is not False:
        _report(frame, parameters, reply, masks)
    if isinstance(reply.body, EventStream):
        output = await _stream(frame, reply, parameters.get("stream"))
    else:
        output = _output(reply.body, reply, parameters.get("outputMode"))
    storing = store(frame, output)
    if storing is not None:
        await storing


def prepare(frame: Frame, parameters: dict[str, Any], *, shown: str = "") -> Request:
    """The request that the parameters ask for."""
    url = parameters.get("url")
    if url is None or url is UNDEFINED or url == "":
        raise InvalidInstruction("Invalid fetch instruction : empty url", {"instructionName": "fetch"})
    method = str(parameters.get("method") or "GET").upper()
    if type(url) is not str or method not in _METHODS:
        what = "url must be a text" if type(url) is not str else f"unknown method {method[:20]}"
        raise InvalidInstruction(f"Invalid fetch instruction : {what}", {"instructionName": "fetch"})
    url = bodies.add_query(url, parameters.get("query"))
    headers = _headers(parameters.get("headers"))
    body = _body(frame, parameters, headers) if method not in ("GET", "HEAD") else None
    auth = parameters.get("auth")
    if type(auth) is dict:
        url = _authorize(frame, auth, method, url, headers=headers, body=body)
    key = parameters.get("prismeaiApiKey")
    if type(key) is dict and key.get("name") and "authorization" not in headers and frame.is_own_api(url):
        headers["authorization"] = f"Bearer {frame.workspace_token(bodies.as_text(key['name']))}"
    for name, value in frame.request_headers(url, "authorization" in headers).items():
        if name.lower() != "user-agent" or "user-agent" not in headers:
            headers[name.lower()] = value
    return Request(method, url, headers, body, shown)


def _headers(given: Any) -> dict[str, str]:
    """Names in lower case, so that there is one of each."""
    if type(given) is not dict:
        return {}
    return {name.lower(): ", ".join(map(bodies.as_text, value)) if type(value) is list else bodies.as_text(value)
            for name, value in given.items() if value is not None and value is not UNDEFINED}


def _body(frame: Frame, parameters: dict[str, Any], headers: dict[str, str]) -> bytes | None:
    if parameters.get("multipart"):
        encoded = bodies.encode_multipart(parameters["multipart"], f"form-{frame.ids.token(16)}")
        headers["content-type"] = encoded.content_type
        return encoded.body
    value = parameters.get("body")
    if value is None or value is UNDEFINED or value == "":
        return None
    encoded = bodies.encode_body(value, headers.get("content-type", ""))
    headers.setdefault("content-type", encoded.content_type)
    return encoded.body


def _authorize(frame: Frame, auth: dict[str, Any], method: str, url: str, *, headers: dict[str, str], body: bytes | None) -> str:
    """Adds what `auth` asks for and returns the url to send: the one that a signature was made for."""
    basic, aws, own = (auth.get(kind) for kind in ("basic", "awsv4", "prismeai"))
    if type(basic) is dict:
        headers["authorization"] = basic_authorization(bodies.as_text(basic.get("user")), bodies.as_text(basic.get("password")))
    if type(own) is dict and own.get("forwardWorkspaceAuth") and frame.is_own_api(url):
        headers["authorization"] = f"Bearer {frame.workspace_token()}"
    if type(aws) is dict:
        try:
            url = normal_url(url)
        except ValueError:
            raise InvalidInstruction("Invalid fetch instruction : the url is not valid", {"instructionName": "fetch"}) from None
        headers.update(sign(method, url, headers, body or b"", credentials=_aws_credentials(aws), now=frame.clock.now()))
    return url


def _aws_credentials(aws: dict[str, Any]) -> AwsCredentials:
    missing = [name for name in ("accessKeyId", "secretAccessKey", "service", "region") if not aws.get(name)]
    if missing:
        raise InvalidInstruction(f"Invalid fetch instruction : auth.awsv4 needs {missing[0]}", {"instructionName": "fetch"})
    return AwsCredentials(*(bodies.as_text(aws[name]) for name in ("accessKeyId", "secretAccessKey", "service", "region")),
                          bodies.as_text(aws.get("sessionToken")))


def _output(body: bytes, reply: Reply, mode: Any) -> Any:
    match mode:
        case "data_url":
            return bodies.as_data_url(body, reply.content_type)
        case "base64":
            return bodies.as_base64(body)
        case "detailed_response":
            return {"status": reply.status, "headers": reply.headers, "body": bodies.decode_body(body, reply.content_type)}
    return bodies.decode_body(body, reply.content_type)


async def _stream(frame: Frame, reply: Reply, options: Any) -> dict[str, Any]:
    """The detailed form; its body is left to a `repeat` unless the items are emitted here."""
    output = {"status": reply.status, "headers": reply.headers, "stream": True}
    options = options if type(options) is dict else {}
    concatenate = options.get("concatenate") if type(options.get("concatenate")) is dict else {}
    path = str(concatenate.get("path") or "").replace("[", ".").replace("]", "")
    reply.body.with_extras(tuple(path.split(".")) if path else (), options.get("payload"))
    if not options.get("event"):
        return {**output, "body": reply.body}
    await _emit_items(frame, reply.body, options, throttle=concatenate.get("throttle", options.get("throttle")))
    return output


async def _emit_items(frame: Frame, stream: EventStream, options: dict[str, Any], *, throttle: Any) -> None:
    """Each item as an event, until the stream ends; `throttle` in milliseconds."""
    event, target, rules = options["event"], options.get("target"), options.get("options")
    seconds = throttle / 1000 if type(throttle) in (int, float) else 0
    try:
        async with aclosing(paced(stream, seconds, frame.clock)) as items:
            async for item in items:
                await _emit(frame, event, item, target, rules)
        if options.get("endChunk") is not None:
            await _emit(frame, event, stream.item(options["endChunk"]), target, rules)
    finally:
        await stream.close()


async def _emit(frame: Frame, event: str, item: dict[str, Any], target: Any, rules: Any) -> None:
    if frame.throttle is not None and (turn := frame.throttle.turn(EMITS)) is not None:
        await turn
    await frame.emit(event, item, target, rules)


async def _with_secrets(frame: Frame, parameters: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The parameters with secret references replaced, and the values that took their places."""
    places = [name for name in _MAY_HOLD_SECRETS if secrets.mentions_secret(parameters.get(name))]
    if not places:
        return parameters, []
    document = (await frame.hidden("secrets")).read()
    masks: list[str] = []

    def look_up(reference: str) -> str:
        masks.append(secrets.look_up(document, reference, user_id=frame.identity.user_id, now=frame.clock.now()))
        return masks[-1]
    revealed = {**parameters, **{name: secrets.reveal(parameters[name], look_up) for name in places}}
    frame.hide(set(masks))
    return revealed, masks


def _report(frame: Frame, parameters: dict[str, Any], reply: Reply, masks: list[str]) -> None:
    body = None if isinstance(reply.body, EventStream) else bodies.decode_body(reply.body, reply.content_type)
    response = {"status": reply.status, "body": _bounded(frame.shown(body)), "headers": reply.headers}
    frame.native("runtime.fetch.failed", {"request": _reported(frame.shown(parameters)), "response": Redactor(masks).redact(response)})


def _reported(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters without what lets somebody in."""
    request = {name: _bounded(value) for name, value in parameters.items()}
    if type(request.get("headers")) is dict:
        request["headers"] = {name: REDACTED if name.lower() in ("authorization", "cookie") else value
                              for name, value in request["headers"].items()}
    if type(request.get("auth")) is dict:
        request["auth"] = dict.fromkeys(request["auth"], REDACTED)
    return request


def _bounded(value: Any) -> Any:
    """An event must not grow too large to be accepted for what an answer holds."""
    written = encode(value)
    return value if len(written) <= _MAX_REPORTED else written[:_MAX_REPORTED].decode(errors="ignore")

