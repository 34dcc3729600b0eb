"""A line for each route: what it does, who may use it, what it takes and answers. Whoever adds a route adds its line."""
from __future__ import annotations

from typing import NamedTuple

from gateway.openapi.schemas import ANY, INSTANT, NUMBER, OBJECT, TEXT, Schema, list_of, ref

ANYONE, LOGIN, OWNER, OPERATOR = "anyone", "login", "owner", "operator"
JSON, YAML, NDJSON, METRICS, ZIP = "application/json", "application/yaml", "application/x-ndjson", "text/plain", "application/zip"
STREAM, BINARY, FORM = "text/event-stream", "application/octet-stream", "multipart/form-data"


class Route(NamedTuple):
    """`path` is the template as the router has it; the names of its parameters may differ."""

    method: str
    path: str
    summary: str
    who: str
    answer: Schema = OBJECT
    query: dict[str, Schema] = {}                            # noqa: RUF012 (never changed)
    body: Schema | None = None
    takes: tuple[str, ...] = (JSON,)
    gives: tuple[str, ...] = (JSON,)
    status: int = 200
    others: tuple[int, ...] = ()
    """Further statuses, besides those that follow from who may use it and what it takes."""
    is_open: bool = False
    """What answers decides: an automation may choose any status."""
    needs_body: bool = False


_PAGE: dict[str, Schema] = {"limit": NUMBER, "page": NUMBER}
_SEARCH: dict[str, Schema] = {"types": TEXT, "text": TEXT, "afterDate": TEXT, "beforeDate": TEXT, "limit": NUMBER, "page": NUMBER,
                              "sort": TEXT, "afterId": TEXT, "beforeId": TEXT}
_DOCUMENT = (YAML, JSON, ZIP, FORM)
_WS = "/v2/workspaces/{workspace}"

ROUTES: tuple[Route, ...] = (
    *(Route(method, _WS + "/webhooks/{endpoint}", "Call an automation", ANYONE, ANY, body=None if method == "GET" else ANY,
            takes=(JSON, "application/x-www-form-urlencoded", FORM, "text/plain", BINARY),
            gives=(JSON, "text/html", STREAM, BINARY), others=(400, 401, 403, 404, 408, 413, 429), is_open=True)
      for method in ("GET", "POST", "PUT", "PATCH", "DELETE")),
    Route("POST", _WS + "/test/{slug}", "Run any automation, endpoint or not", OWNER, ANY, body=OBJECT,
          gives=(JSON, "text/html", STREAM, BINARY), others=(408, 429), is_open=True),

    Route("GET", _WS + "/events", "Search events; the live feed with `Upgrade: websocket` or `Accept: text/event-stream`", ANYONE,
          ref("EventPage"), _SEARCH, gives=(JSON, STREAM), others=(101, 401, 403, 404, 429)),
    Route("POST", _WS + "/events", "Emit events", ANYONE, list_of(ref("Event")), body=ref("NewEvents"), needs_body=True,
          others=(401, 403, 404, 429)),
    Route("GET", _WS + "/events/export", "All matches, oldest first", ANYONE, ANY, {**_SEARCH, "format": {"enum": ["ndjson", "json"]}},
          gives=(NDJSON, JSON), others=(401, 403, 404, 429)),

    Route("POST", "/v2/login/anonymous", "A new user and a token", ANYONE, ref("Login"),
          body={"type": "object", "properties": {"expiresAfter": {"type": "number"}}}, others=(429,)),
    Route("POST", "/v2/login", "A session of an account", ANYONE, ref("Login"), body=ref("Credentials"), needs_body=True, others=(401, 403, 429)),
    Route("POST", "/v2/signup", "Make an account", ANYONE, ref("User"), body=ref("NewAccount"), needs_body=True, others=(401, 403, 429)),
    Route("POST", "/v2/contacts", "Accounts by e-mail or id, as others may see them", LOGIN,
          {"type": "object", "properties": {"contacts": list_of(ref("User"))}},
          body={"type": "object", "properties": {"email": TEXT, "ids": list_of(TEXT)}}, others=(429,)),
    Route("POST", "/v2/logout", "End the session", LOGIN, ref("Success")),
    Route("GET", "/v2/me", "Who am I", LOGIN, ref("User")),
    Route("GET", "/v2/user/accessTokens", "The caller's access tokens", LOGIN, list_of(ref("AccessToken"))),
    Route("POST", "/v2/user/accessTokens", "Make an access token, shown this once", LOGIN, ref("AccessToken"), needs_body=True,
          body={"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "minLength": 1}, "expiresAt": INSTANT}}),
    Route("DELETE", "/v2/user/accessTokens/{token}", "Take one back, by its id or the token itself", LOGIN, ref("Id"), others=(404,)),

    Route("GET", "/v2/workspaces", "Those the caller may read", LOGIN, list_of(ref("WorkspaceSummary")),
          {"name": TEXT, "labels": TEXT, "slug": TEXT, "ids": TEXT, "email": TEXT, "sort": TEXT, **_PAGE}),
    Route("POST", "/v2/workspaces", "Make one", LOGIN, ref("WorkspaceIndex"), body=ref("NewWorkspace"), needs_body=True, others=(429,)),
    Route("POST", "/v2/workspaces/import", "Make one from a document or an archive", LOGIN, ref("Imported"),
          body=ref("WorkspaceDocument"), takes=_DOCUMENT, needs_body=True, others=(429,)),
    Route("GET", _WS, "Its index: automations without their instructions", OWNER, ref("WorkspaceIndex"), {"version": TEXT}),
    Route("PATCH", _WS, "Replace the members given", OWNER, ref("WorkspaceIndex"), body=OBJECT),
    Route("DELETE", _WS, "Delete it and its state", OWNER, ref("Id")),
    Route("GET", _WS + "/config", "Its config", OWNER, ref("Config")),
    Route("PATCH", _WS + "/config", "Merge root keys into it", OWNER, ref("Config"), body=ref("Config")),
    Route("PUT", _WS + "/config", "Replace it", OWNER, ref("Config"), body=ref("Config")),
    Route("POST", _WS + "/import", "The next revision, from a document or an archive", OWNER, ref("Imported"),
          body=ref("WorkspaceDocument"), takes=_DOCUMENT, needs_body=True, others=(429,)),
    Route("GET", _WS + "/export", "The whole definition", OWNER, ref("WorkspaceDocument"),
          {"version": TEXT, "format": {"enum": ["yaml", "zip"]}}, gives=(YAML, ZIP)),
    Route("POST", _WS + "/versions/{version}/export", "A version as an archive", OWNER, ANY, gives=(ZIP,)),

    Route("POST", _WS + "/suspend", "Let it do nothing until it is resumed", OPERATOR, others=(404,), body=OBJECT),
    Route("POST", _WS + "/resume", "Let it go on", OPERATOR, others=(404,), body=OBJECT),

    Route("GET", _WS + "/versions", "Its versions, the newest first", OWNER, list_of(ref("Version"))),
    Route("POST", _WS + "/versions", "Keep it as it is now, under a name", OWNER, ref("Version"), body=ref("NewVersion")),
    Route("DELETE", _WS + "/versions/{version}", "Forget a version", OWNER, ref("Id")),
    *(Route("POST", _WS + "/versions/{version}/" + word, "Go back to a version", OWNER, ref("Imported"), body=OBJECT)
      for word in ("pull", "rollback")),
    Route("POST", _WS + "/versions/{version}/duplicate", "Begin another workspace from a version", OWNER, ref("WorkspaceIndex"), body=OBJECT,
          others=(429,)),

    Route("GET", _WS + "/pages", "Its pages", OWNER, list_of(OBJECT)),
    Route("POST", _WS + "/pages", "Add a page", OWNER, OBJECT, body=OBJECT, needs_body=True),
    Route("GET", _WS + "/pages/{slug}", "A page", OWNER),
    Route("PATCH", _WS + "/pages/{slug}", "Replace the members given", OWNER, OBJECT, body=OBJECT),
    Route("DELETE", _WS + "/pages/{slug}", "Remove it", OWNER),

    Route("GET", _WS + "/permissions", "Whom it is shared with", OWNER, ref("Shares")),
    Route("POST", _WS + "/permissions", "Share it", OWNER, ref("Share"), body=ref("Share"), needs_body=True),
    Route("DELETE", _WS + "/permissions/{target}", "Share it no longer", OWNER, ref("Id")),
    Route("GET", "/v2/pages/{page}/permissions", "Whom a page is shared with", OWNER, ref("Shares")),
    Route("POST", "/v2/pages/{page}/permissions", "Share it", OWNER, ref("Share"), body=ref("Share"), needs_body=True),
    Route("DELETE", "/v2/pages/{page}/permissions/{target}", "Share it no longer", OWNER, ref("Id")),
    Route("GET", "/v2/apps/{slug}/permissions", "Whom an app is shared with", OWNER, ref("Shares")),
    Route("POST", "/v2/apps/{slug}/permissions", "Share it", OWNER, ref("Share"), body=ref("Share"), needs_body=True),
    Route("DELETE", "/v2/apps/{slug}/permissions/{target}", "Share it no longer", OWNER, ref("Id")),
    Route("GET", _WS + "/security", "Its rules", OWNER, ref("Security")),
    Route("PUT", _WS + "/security", "Put other rules in their place", OWNER, ref("Security"), body=ref("Security"), needs_body=True),
    Route("GET", _WS + "/security/roles", "Its roles", OWNER, list_of(OBJECT)),
    Route("GET", _WS + "/security/apikeys", "Its API keys: what they begin with, and their rules", OWNER, list_of(ref("ApiKey"))),
    Route("POST", _WS + "/security/apikeys", "Make a key; it is shown this once", OWNER, ref("ApiKey"), body=ref("NewApiKey"), needs_body=True),
    Route("PUT", _WS + "/security/apikeys/{key}", "Give a key another name or other rules", OWNER, ref("ApiKey"), body=ref("NewApiKey"),
          needs_body=True),
    Route("DELETE", _WS + "/security/apikeys/{key}", "End a key", OWNER, ref("Id")),

    Route("GET", _WS + "/security/secrets", "Names and descriptions of its secrets; values are never shown", OWNER, OBJECT),
    Route("PATCH", _WS + "/security/secrets", "Set the secrets given", OWNER, OBJECT, body=ref("Secrets"), needs_body=True),
    Route("PUT", _WS + "/security/secrets", "Put these in the place of all", OWNER, OBJECT, body=ref("Secrets"), needs_body=True),
    Route("DELETE", _WS + "/security/secrets/{name}", "Forget a secret", OWNER),

    Route("POST", _WS + "/search", "Search events with a query language and aggregations", ANYONE, OBJECT, body=OBJECT, needs_body=True,
          others=(401, 403, 404, 429)),
    Route("GET", _WS + "/usage", "What it was used for", OWNER, OBJECT,
          {"afterDate": TEXT, "beforeDate": TEXT, "interval": {"enum": ["day", "month"]}, "details": TEXT}, others=(429,)),

    Route("GET", _WS + "/automations", "All, without their instructions", OWNER, list_of(ref("AutomationSummary"))),
    Route("POST", _WS + "/automations", "Add one", OWNER, ref("NamedAutomation"), body=ref("Automation"), needs_body=True),
    Route("GET", _WS + "/automations/{slug}", "A whole automation", OWNER, ref("NamedAutomation")),
    Route("PATCH", _WS + "/automations/{slug}", "A whole automation in its place; another slug renames it", OWNER, ref("NamedAutomation"),
          body=ref("Automation"), needs_body=True),
    Route("DELETE", _WS + "/automations/{slug}", "Remove it", OWNER, ref("Slug")),
    Route("GET", _WS + "/automations/{slug}/schedules", "When its schedules fall", OWNER, ref("Schedules"),
          {"from": INSTANT, "count": {"type": "integer", "minimum": 0, "maximum": 50}}),

    Route("GET", "/v2/apps", "Published apps", LOGIN, list_of(ref("App")), {"text": TEXT, "workspaceId": TEXT, "labels": TEXT, **_PAGE}),
    Route("POST", "/v2/apps", "Publish a workspace as an app", OWNER, ref("App"), body=ref("Publication"), needs_body=True),
    Route("GET", "/v2/apps/{slug}", "An app and the schema of its config", LOGIN, ref("App"), {"version": TEXT}, others=(404,)),
    Route("DELETE", "/v2/apps/{slug}", "Take it back", OWNER, ref("Id")),
    Route("GET", _WS + "/apps", "Installed apps", OWNER, list_of(ref("Instance"))),
    Route("POST", _WS + "/apps", "Install one", OWNER, ref("Instance"), body=ref("NewInstance"), needs_body=True),
    Route("GET", _WS + "/apps/{slug}", "An instance with its config", OWNER, ref("Instance")),
    Route("PATCH", _WS + "/apps/{slug}", "Replace the members given", OWNER, ref("Instance"), body=ref("Instance")),
    Route("DELETE", _WS + "/apps/{slug}", "Uninstall it", OWNER, ref("Slug")),
    Route("GET", _WS + "/apps/{slug}/config", "Its config", OWNER, OBJECT),
    Route("PATCH", _WS + "/apps/{slug}/config", "Merge root keys into it", OWNER, OBJECT, body=OBJECT),

    Route("GET", "/sys/healthcheck", "Is the process alive", ANYONE, ref("Health")),
    Route("GET", "/v2/readiness", "May it be sent requests; 503 says what is not ready", ANYONE, ref("Readiness")),
    Route("PUT", "/sys/logging", "Set from which level on the server logs", OPERATOR, ref("LogLevel"), body=ref("LogLevel"), needs_body=True),
    Route("GET", "/metrics", "What the server counts, for Prometheus", OPERATOR, TEXT, gives=(METRICS,)),
    Route("GET", "/openapi.json", "This document", ANYONE, OBJECT),
)
