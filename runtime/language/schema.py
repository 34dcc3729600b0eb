"""The words of the language and what may follow each: the one table that the check, the editors and the reference read.

Schemas are JSON Schema with a few keywords of our own. `instructions`: a list of instructions. `branches`: a map from condition
to instructions. `variable`: the name of a variable to write. `automation`: the slug of an automation. `anyCase`: the texts of
`enum` in any case. `open`: members beyond `properties` are fine. Every value may be a template instead, whatever its type.
"""
from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def _kind(kind: str | list[str]) -> Any:
    def schema(description: str, **more: Any) -> Schema:
        return {"type": kind, "description": description, **more}
    return schema


_text, _number, _integer, _boolean, _list, _map, _text_or_number = map(
    _kind, ("string", "number", "integer", "boolean", "array", "object", ["string", "number"]))


def _any(description: str, **more: Any) -> Schema:
    return {"description": description, **more}


def _members(description: str, properties: dict[str, Schema], *required: str, **more: Any) -> Schema:
    needs = {"required": list(required)} if required else {}
    return {"type": "object", "description": description, "properties": properties, **needs, **more}


def _steps(description: str) -> Schema:
    return {"type": "array", "description": description, "instructions": True}


def _variable(description: str) -> Schema:
    return {"type": "string", "description": description, "variable": True}


_OUTPUT = _variable("Variable that receives the result; a path such as session.answer or list[] works too.")
_READERS = _members("Who may read the event besides its sender and the members.", {
    "userId": _text("A user."),
    "sessionId": _text("A session."),
    "userTopic": _text("Everybody who joined this topic."),
    "currentSocket": _boolean("false: other tabs of the same session receive it too."),
    "exclusive": _boolean("true: nobody but the target and the members.")})
_STORED = _members("How the event is kept.", {"persist": _boolean("false: listeners run, nothing is stored.")}, open=True)

INSTRUCTION_SCHEMAS: dict[str, Schema] = {
    "all": {
        "description": "Run instructions side by side; go on when all of them are done.",
        "anyOf": [_steps("The instructions."), _members("The same, as a map.", {"do": _steps("The instructions.")}, "do")]},
    "auth": _members("Make a short-lived token for calls to this server's own API.", {
        "workspace": _boolean("true: the token speaks for this workspace."),
        "output": _variable("Variable that receives {jwt}.")}),
    "break": _members("End the automation, or more, or less.", {
        "scope": _text("automation ends this automation; all its callers too; repeat only the innermost loop.",
                       enum=["automation", "all", "repeat"], default="automation"),
        "payload": _any("Becomes the output of the automation.")}, nullable=True),
    "comment": _any("A remark; nothing happens."),
    "conditions": {
        "type": "object", "branches": True,
        "description": "Condition → instructions, tried in order: the first that holds runs, no other. `default` runs when none did."},
    "createUserTopic": _members("Create a topic, a group of users that events can be sent to.", {
        "topic": _text("Name of the topic."), "userIds": _list("Users who join at once."), "output": _OUTPUT}, "topic"),
    "delete": _members("Remove a variable, a member of a map or an item of a list.", {
        "name": _variable("Variable or path.")}, "name"),
    "emit": _members("Publish an event; automations that listen to it run on their own.", {
        "event": _text("Name: letters, digits, blanks, dots, underscores and dashes."),
        "payload": _map("What the event says."),
        "target": _READERS,
        "options": _STORED,
        "output": _variable("Variable that receives the whole event, with its id."),
        "private": _any("For editors; no effect."),
        "autocomplete": _any("For editors; no effect.")}, "event"),
    "fetch": _members("Send an HTTP request.", {
        "url": _text("Address."),
        "method": _text("HTTP method, in any case.", enum=["get", "post", "put", "patch", "delete"], anyCase=True, default="get"),
        "headers": _map("Request headers."),
        "query": _map("Query parameters, added to those of the url; a list repeats its key."),
        "body": _any("Sent as JSON, or url-encoded when the Content-Type header says so; a text as it is. Not sent with get."),
        "multipart": _list("Fields and files of a multipart body.", items=_members("One field or file.", {
            "fieldname": _text("Name of the field."),
            "value": _any("Text, base64 text or bytes."),
            "filename": _text("Name of the file."),
            "contentType": _text("Type of the file.")}, "fieldname", "value")),
        "emitErrors": _boolean("Emit runtime.fetch.failed for a 4xx or 5xx status.", default=True),
        "outputMode": _text("What `output` receives.", enum=["body", "detailed_response", "data_url", "base64"], default="body"),
        "stream": _members("Emit each message of an event stream.", {
            "event": _text("Name of the events."),
            "payload": _any("Added to each as additionalPayload."),
            "endChunk": _any("Emitted at the end."),
            "concatenate": _members("Collect a field of all messages.", {
                "path": _text("Path of the field."), "throttle": _number("Milliseconds between two events.")}),
            "target": _READERS,
            "options": _STORED}),
        "prismeaiApiKey": _members("A named api key, for calls to this server's own API.", {"name": _text("Name of the key.")}, "name"),
        "auth": _members("How to authenticate.", {
            "basic": _members("User and password.", {"user": _text("User."), "password": _text("Password.")}),
            "awsv4": _members("A signature of AWS, version 4.", {
                name: _text("As AWS calls it.") for name in ("accessKeyId", "secretAccessKey", "service", "region")}, open=True),
            "prismeai": _members("Calls to this server.", {"forwardWorkspaceAuth": _boolean("Speak for the workspace.")}, open=True)}),
        "output": _OUTPUT}, "url"),
    "joinUserTopic": _members("Let users receive the events of a topic.", {
        "topic": _text("Name of the topic."),
        "userIds": _list("Users who join; without them the current one does."),
        "create": _boolean("false: fail when the topic does not exist."),
        "output": _OUTPUT}, "topic"),
    "rateLimit": _members("Count, and tell whether a limit is exceeded; never fails.", {
        "name": _text("What is counted."),
        "limit": _number("How often within the window."),
        "window": _number("Length of the window in seconds."),
        "consumer": _any("Whose uses are counted together."),
        "output": _variable("Variable that receives {ok, retryAfter, remaining, limit, window, consumer}.")}, "name", "limit", "window"),
    "repeat": _members("Run instructions once per item, or so many times; `item` and `$index` are set each time.", {
        "on": _any("A list, a map (its items are {key, value}), a text (its characters) or a streamed response.",
                   type=["array", "object", "string"]),
        "until": _text_or_number("How many times at most, or an expression that ends the loop when it holds."),
        "batch": _members("Items that run side by side.", {
            "size": _number("How many."), "interval": _number("Milliseconds between two batches.")}),
        "do": _steps("What to run each time.")}, "do"),
    "run": _members("Call a function of a built-in module.", {
        "module": _text("The module.", enum=["crypto", "text", "collections", "secrets"]),
        "function": _text("The function."),
        "parameters": _map("Its parameters."),
        "onError": _text("break fails, emit emits the error and goes on, continue returns it as output.",
                         enum=["break", "throw", "emit", "continue"], default="break"),
        "output": _OUTPUT}, "module", "function"),
    "runWorkflow": _members("Call an automation whose slug is a value.", {
        "workflow": _text("Slug of the automation.", automation=True),
        "parameters": _map("Its arguments."),
        "wait": _boolean("false: do not wait for its result.", default=True),
        "output": _OUTPUT}, "workflow"),
    "set": _members("Write a variable.", {
        "name": _variable("Variable or path; global, user, session, run, socket and config begin a context, all else is local."),
        "value": _any("The value."),
        "type": _text("How it joins what is there.", enum=["replace", "merge", "push", "add"], default="replace"),
        "lifespan": _number("Seconds after which the variable disappears.")}, "name"),
    "try": _members("Run instructions; on an error go on with others.", {
        "do": _steps("What may fail."), "catch": _steps("What runs after an error, which is in `$error`.")}, "do"),
    "wait": _members("Hold until one of these events arrives, or time runs out.", {
        "oneOf": _list("The events.", items=_members("One of them.", {
            "event": _text("Name of the event."),
            "filters": _map("Path on the event → value it must have."),
            "cancelTriggers": _boolean("true: this event starts no automation.")}, "event")),
        "timeout": _number("Seconds.", default=20),
        "output": _variable("Variable that receives the event.")}, "oneOf"),
}

_LABEL: Schema = {"type": ["string", "object"], "description": "A text, or a map from language to text."}
_FIELDS: Schema = {"type": "object", "description": "Name → typed field, as in JSON Schema; `secret: true` hides its value.",
                   "fields": True}

WHEN_SCHEMA = _members("What starts the automation.", {
    "endpoint": {"type": ["boolean", "string"], "description": "true publishes it under its slug; a text under that name."},
    "events": _list("Names of the events it listens to.", items=_text("Name of an event.")),
    "schedules": _list("Cron expressions of five fields, in UTC.", items=_text("Minute, hour, day of month, month, day of week."))})

AUTOMATION_SCHEMA = _members("An automation: what starts it, what it does, what it answers.", {
    "slug": _text("Its name in calls and addresses; its key when absent."),
    "name": _LABEL,
    "description": _any("For people."),
    "labels": _any("For people."),
    "when": WHEN_SCHEMA,
    "do": _steps("Instructions, one after another."),
    "output": _any("What callers receive; evaluated after the last instruction."),
    "arguments": {**_FIELDS, "description": "What it expects: name → typed field."},
    "validateArguments": _boolean("true: refuse calls whose arguments do not fit."),
    "private": _boolean("true: cannot be called through an app instance."),
    "disabled": _boolean("true: as if it did not exist."),
    "authorizations": _members("Who may run it.", {"action": _text("What callers must be allowed to do.")}, open=True),
    "schemas": _list("Branches of {conditions, payload, output}.", items=_map("One branch."))}, "do")

IMPORT_SCHEMA = _members("An installed app.", {
    "slug": _text("Name of the instance; its key when absent."),
    "appSlug": _text("The app."),
    "appVersion": _any("A fixed version; without it the instance follows the latest."),
    "config": _any("Config of the instance."),
    "disabled": _boolean("true: as if it were not installed."),
    "labels": _any("For people.")}, "appSlug", open=True)

WORKSPACE_SCHEMA = _members("A workspace: automations, and what they share.", {
    "name": _text("Its name: 2 to 60 letters, digits, blanks, commas, dots, quotes and dashes."),
    "slug": _text("Small letters, digits, dashes and slashes."),
    "id": _text("Assigned by the server."),
    "description": _any("For people."),
    "config": _members("Settings that automations read as {{config}}.", {
        "schema": {**_FIELDS, "type": "object"}, "value": _map("The values.")}, open=True),
    "secrets": _members("Secrets that the workspace needs.", {"schema": {**_FIELDS, "type": "object"}}, open=True),
    "imports": _map("Instance → installed app.", additionalProperties=IMPORT_SCHEMA),
    "automations": _map("Slug → automation.", additionalProperties=AUTOMATION_SCHEMA),
    "registerWorkspace": _boolean("true: listed in global.workspacesRegistry."),
    "customDomains": _list("Host names of its own.", items=_text("A host name.")),
    **{word: _any("For people.") for word in ("labels", "photo")},
    **{word: _any("Kept with the workspace.") for word in (
        "pages", "blocks", "security", "repositories", "versions", "createdAt", "createdBy", "updatedAt", "updatedBy")}}, "name")

_TEMPLATE: Schema = {"type": "string", "pattern": r"\{\{|\{%", "description": "A template: its value is known when it is reached."}
_STEP = {"$ref": "#/$defs/instruction"}
_STEPS_OR_NOTHING: Schema = {"type": ["array", "null"], "items": _STEP}
_OURS = frozenset(("instructions", "branches", "variable", "automation", "anyCase", "open", "fields", "nullable"))


def document_schema() -> Schema:
    """JSON Schema (draft 2020-12) of a workspace document, for editors: it completes, explains, and marks unknown words."""
    call = {"type": ["object", "string"], "description": "Arguments of the automation that is called.",
            "properties": {"output": _portable(_OUTPUT)}}
    instruction = {
        "type": ["object", "null"], "maxProperties": 1, "description": "One instruction, or a call of an automation by its slug.",
        "properties": {word: _body(schema) for word, schema in INSTRUCTION_SCHEMAS.items()},
        "additionalProperties": call}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Workspace", **_portable(WORKSPACE_SCHEMA),
        "$defs": {"instruction": instruction, "field": {"type": ["object", "boolean", "null"], "description": "A typed field."}}}


def _body(schema: Schema) -> Schema:
    """Parameters may be templates; so may the body as a whole."""
    body = _portable(schema, _or_template)
    if schema.get("nullable"):
        return {"anyOf": [body, {"type": "null"}]}
    return _or_template(body) if "type" in body else body


def _portable(schema: Schema, wrap: Any = lambda member: member) -> Schema:
    """A schema without our own keywords; `wrap` is applied to whatever stands inside it."""
    plain = {key: value for key, value in schema.items() if key not in _OURS}
    if schema.get("instructions"):
        plain.update(_STEPS_OR_NOTHING)
    if schema.get("branches"):
        plain["additionalProperties"] = _STEPS_OR_NOTHING
    if schema.get("fields"):
        plain["additionalProperties"] = {"$ref": "#/$defs/field"}
    if schema.get("anyCase"):
        plain["enum"] = [text for each in schema["enum"] for text in (each, each.upper())]
    if "properties" in schema:
        plain["properties"] = {name: wrap(_portable(member, wrap)) for name, member in schema["properties"].items()}
        if not schema.get("open"):
            plain["additionalProperties"] = False
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            plain[key] = wrap(_portable(schema[key], wrap))
    if "anyOf" in schema:
        plain["anyOf"] = [_portable(each, wrap) for each in schema["anyOf"]]
    return plain


def _or_template(schema: Schema) -> Schema:
    """The same, or a template; texts without a list of choices may hold one as they are."""
    kind = schema.get("type")
    if kind is None or kind == "string" and "enum" not in schema or isinstance(kind, list) and "string" in kind:
        return schema
    return {"anyOf": [schema, _TEMPLATE], **({"description": schema["description"]} if "description" in schema else {})}
