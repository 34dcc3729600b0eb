"""What goes in and comes out, as JSON Schema. Automations are described by the schema of the language itself."""
from __future__ import annotations

from typing import Any

from runtime.language.schema import document_schema

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
ANY: Schema = {}
OBJECT: Schema = {"type": "object"}
OBJECT_OR_NOTHING: Schema = {"type": ["object", "null"]}
NUMBER: Schema = {"type": "integer", "minimum": 0}
TEXTS: Schema = {"type": "array", "items": TEXT}
INSTANT: Schema = {"type": "string", "format": "date-time"}
LABEL: Schema = {"type": ["string", "object"], "description": "A text, or one for each language."}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def shape(*required: str, **members: Schema) -> Schema:
    """An object with these members, among others."""
    return {"type": "object", "properties": members, **({"required": list(required)} if required else {})}


def components() -> dict[str, Schema]:
    return {**_SCHEMAS, **_language()}


def _language() -> dict[str, Schema]:
    """The schema of a workspace document, cut where the API has parts of it."""
    whole = _moved(document_schema())
    definitions = whole.pop("$defs")
    del whole["$schema"]
    automations = whole["properties"]["automations"]
    automation, automations["additionalProperties"] = automations["additionalProperties"], ref("Automation")
    return {"Instruction": definitions["instruction"], "Field": definitions["field"], "Automation": automation, "WorkspaceDocument": whole}


def _moved(value: Any) -> Any:
    """With references to where OpenAPI keeps its schemas."""
    if isinstance(value, list):
        return [_moved(each) for each in value]
    if isinstance(value, dict):
        return {key: ref(each.removeprefix("#/$defs/").capitalize())["$ref"] if key == "$ref" else _moved(each) for key, each in value.items()}
    return value


_SCHEMAS: dict[str, Schema] = {
    "Error": shape("error", "message", error={"type": "string", "description": "A stable name."}, message=TEXT, details=ANY),
    "Event": shape("id", "type", "createdAt", "source", id=TEXT, type=TEXT, createdAt=INSTANT, size=NUMBER, source=OBJECT, payload=ANY),
    "NewEvents": shape("events", events={"type": "array", "maxItems": 1000, "items": shape(
        "type", type={"type": "string", "minLength": 1}, payload=OBJECT, options=shape(persist={"type": "boolean"}),
        target=shape(userId=TEXT, sessionId=TEXT, userTopic=TEXT, currentSocket={"type": "boolean"}, exclusive={"type": "boolean"}))}),
    "EventPage": shape("result", result=shape("events", events=list_of(ref("Event")), cursor=TEXT)),
    "User": shape("id", id=TEXT, userId=TEXT, firstName=TEXT, lastName=TEXT, email=TEXT, authData=OBJECT, sessionId=TEXT, expires=INSTANT),
    "Login": shape("id", "token", "sessionId", id=TEXT, token=TEXT, sessionId=TEXT, expires=INSTANT, authData=OBJECT),
    "Credentials": shape("email", "password", email=TEXT, password=TEXT),
    "NewAccount": shape("email", "password", email=TEXT, password=TEXT, firstName=TEXT, lastName=TEXT, language=TEXT),
    "AccessToken": shape("id", "name", "expiresAt", "userId", id=TEXT, name=TEXT, expiresAt=INSTANT, userId=TEXT,
                         token={"type": "string", "description": "Only in the answer that makes it."}),
    "NewWorkspace": shape("name", name=TEXT, slug=TEXT, description=LABEL, photo=TEXT, labels=TEXTS, config=OBJECT),
    "WorkspaceSummary": shape("id", "name", id=TEXT, name=TEXT, slug=TEXT, description=LABEL, createdAt=INSTANT, updatedAt=INSTANT),
    "WorkspaceIndex": {"type": "object", "description": "A workspace; automations without their instructions.",
                       "properties": {"id": TEXT, "name": TEXT, "slug": TEXT, "automations": OBJECT, "imports": OBJECT, "config": OBJECT}},
    "Config": shape(value=OBJECT_OR_NOTHING, schema=OBJECT_OR_NOTHING),
    "Imported": shape("imported", imported=ANY, deleted=ANY, errors=ANY, workspace=OBJECT),
    "NamedAutomation": {"allOf": [ref("Automation")], "required": ["slug"]},
    "AutomationSummary": shape("slug", slug=TEXT, name=LABEL, description=LABEL),
    "Schedules": shape("schedules", schedules=list_of(shape("schedule", "next", schedule=TEXT, next=list_of(INSTANT)))),
    "App": shape("slug", slug=TEXT, workspaceId=TEXT, name=LABEL, description=LABEL, versions=ANY, config=OBJECT),
    "Publication": shape("workspaceId", workspaceId=TEXT, slug=TEXT, name=LABEL, description=LABEL, photo=TEXT, workspaceVersion=TEXT),
    "Instance": shape(slug=TEXT, appSlug=TEXT, appVersion=TEXT, config=OBJECT, disabled={"type": "boolean"}),
    "NewInstance": shape("appSlug", appSlug=TEXT, slug=TEXT, appVersion=TEXT, config=OBJECT, disabled={"type": "boolean"}),
    "Id": shape("id", id=TEXT),
    "Slug": shape("slug", slug=TEXT),
    "Success": shape("success", success={"const": True}),
    "Version": shape("name", name=TEXT, description=LABEL, createdAt=INSTANT),
    "NewVersion": shape(name={"type": "string", "pattern": "^[a-zA-Z0-9_.-]{1,15}$"}, description=LABEL),
    "Secrets": {"type": "object", "additionalProperties": shape(value=TEXT, description=TEXT)},
    "Share": shape(target=OBJECT, permissions=OBJECT),
    "Shares": shape("result", result={"type": "array", "items": OBJECT}),
    "Security": shape(authorizations=OBJECT),
    "ApiKey": shape("apiKey", "rules", apiKey=TEXT, name={"type": ["string", "null"]}, rules={"type": "array", "items": OBJECT}, subjectType=TEXT,
                    subjectId=TEXT),
    "NewApiKey": shape(name={"type": "string", "minLength": 1, "maxLength": 100}, rules={"type": "array", "items": OBJECT}),
    "Health": shape("status", status={"const": "ok"}),
    "Readiness": shape("status", "checks", status={"enum": ["ready", "unavailable"]},
                       checks={"type": "object", "additionalProperties": TEXT}),
    "LogLevel": shape("level", level={"enum": ["debug", "info", "warn", "warning", "error"]}),
}
