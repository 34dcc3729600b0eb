"""The environment variables: how the text of each is read, and what it is for."""
from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from runtime.errors import AutomationsError
from runtime.language.loader import load
from runtime.preprocessing import Rules, parse


class Unreadable(ValueError):
    """The text is not what the variable expects; the message says what that is."""


Read = Callable[[str], Any]

_SHORTEST_KEY = 16
_YES = frozenset(("true", "yes", "y", "1"))
_NO = frozenset(("false", "no", "n", "0"))
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_UNITS = {"b": 1, "kb": 1024, "mb": 1024 ** 2, "gb": 1024 ** 3}


def text(value: str) -> str:
    return value


def yes_no(value: str) -> bool:
    word = value.strip().lower()
    if word not in _YES and word not in _NO:
        raise Unreadable("one of true, yes, y, 1, false, no, n, 0")
    return word in _YES


def whole(low: int = 0, high: int = 2 ** 53) -> Read:
    def read(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            raise Unreadable(f"a whole number from {low}" + (f" to {high}" if high < 2 ** 53 else ""))
        return number
    return read


def seconds(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise Unreadable("a number of seconds, 0 or more")
    return number


def per_second(value: str) -> float:
    try:
        number = seconds(value)
    except Unreadable:
        raise Unreadable("a number a second, 0 or more") from None
    return int(number) if number == int(number) else number


def milliseconds(value: str) -> float:
    try:
        return seconds(value) / 1000
    except Unreadable:
        raise Unreadable("a number of milliseconds, 0 or more") from None


def size(value: str) -> int:
    """`1mb`, `50kb`, `800b` or a plain number of bytes."""
    word = value.strip().lower()
    digits = word.rstrip("bkmg")
    unit = _UNITS.get(word[len(digits):] or "b")
    if unit is None or not digits.isdecimal():
        raise Unreadable("a number of bytes, or one followed by b, kb, mb or gb")
    return int(digits) * unit


def words(value: str) -> tuple[str, ...]:
    """Items between commas."""
    return tuple(word for part in value.split(",") if (word := part.strip()))


def keys(value: str) -> tuple[str, ...]:
    """Keys between commas, each long enough to keep something behind it."""
    if not words(value) or any(len(key) < _SHORTEST_KEY for key in words(value)):
        raise Unreadable(f"keys of {_SHORTEST_KEY} characters at least, between commas")
    return words(value)


def rules(value: str) -> Rules:
    """The rules in the file of this name."""
    try:
        return parse(load(Path(value).read_bytes(), name=value).data, value)
    except (OSError, ValueError, AutomationsError) as problem:
        raise Unreadable(f"the name of a file of rules: {problem}") from None


def networks(value: str) -> tuple[str, ...]:
    try:
        for item in words(value):
            ipaddress.ip_network(item, strict=False)
    except ValueError:
        raise Unreadable("addresses or networks between commas, like 10.0.0.1,172.16.0.0/12") from None
    return words(value)


def one_of(*choices: str) -> Read:
    def read(value: str) -> str:
        if value not in choices:
            raise Unreadable("one of " + ", ".join(choices))
        return value
    return read


def url(value: str) -> str:
    """An absolute HTTP address, kept without a slash at its end."""
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise Unreadable("an address that begins with http:// or https://")
    return value.rstrip("/")


def dotted_host(value: str) -> str:
    return value if value.startswith(".") else "." + value


def storage(value: str) -> str:
    if not value.startswith(("file:", "memory:", "mongodb://", "mongodb+srv://")):
        raise Unreadable("file:FOLDER, memory: or mongodb://…")
    return value


def header(value: str) -> str:
    if not _HEADER.fullmatch(value):
        raise Unreadable("the name of a header")
    return value.lower()


def pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as problem:
        raise Unreadable(f"a regular expression ({problem})") from None
    return value


class Variable(NamedTuple):
    """`read` turns its text into the value of the field that has the same name in lower case."""

    name: str
    read: Read
    meaning: str
    is_secret: bool = False
    may_be_empty: bool = False
    """Empty text is a value; for every other variable it is the same as leaving it out."""


_V = Variable
_count = whole()
_positive = whole(1)

VARIABLES = (
    _V("HOST", text, "address to listen on"),
    _V("PORT", whole(0, 65535), "port to listen on; 0 takes a free one"),
    _V("STORAGE_URL", storage, "where facts are kept: file:FOLDER, memory: or mongodb://…"),
    _V("STORAGE_DURABILITY", one_of("commit", "relaxed"), "commit: on disk before anything is acknowledged"),
    _V("SHUTDOWN_GRACE_SECONDS", seconds, "how long runs may finish when the server stops"),
    _V("NODE_URL", url, "where other nodes of the same store reach this one; follows from HOST and PORT when absent"),

    _V("API_URL", url, "public address of the API: endpoint addresses, token audience; fetches below it are calls to this server"),
    _V("STUDIO_URL", url, "global.studioUrl, and an origin browsers may call from"),
    _V("PAGES_HOST", dotted_host, "what follows a workspace's slug in the address of its pages"),
    _V("INTERNAL_API_URL", url, "where fetches to this server really go"),
    _V("CORS_ADDITIONAL_ALLOWED_ORIGINS", words, "origins, besides studio and pages, that browsers may call from"),

    _V("ADMIN_TOKEN", text, "bearer token of the predefined owner; made at first start when absent", is_secret=True),
    _V("JWT_SECRET", text, "signs login tokens; the same on all nodes; made at first start when absent; after a comma, older ones that still count",
       is_secret=True),
    _V("SECRETS_KEY", keys, "seals the secrets of workspaces: the first of a list seals, all of them open; the same on all nodes; made at first "
       "start when absent, but not on MongoDB", is_secret=True),
    _V("INTERNAL_API_KEY", text, "what programs show that read the metrics or set the log level; made at first start when absent", is_secret=True),
    _V("LOG_FORMAT", one_of("text", "json"), "how the log is written: lines for eyes, or one JSON object a line"),
    _V("LOG_LEVEL", one_of("debug", "info", "warn", "warning", "error"), "from which level on lines are written; PUT /sys/logging changes it"),
    _V("LOG_REQUESTS", yes_no, "yes: a line for each request that was answered"),
    _V("TRACING", yes_no, "yes: spans go to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names; needs the extra otel"),
    _V("ACCESS_TOKENS_MAX_AGE", _positive, "life of a login, in seconds"),
    _V("SESSION_COOKIES_MAX_AGE", _positive, "life of the login cookie, in seconds"),
    _V("SUPER_ADMIN_EMAILS", words, "accounts that may do everything"),
    _V("PASSWORD_VALIDATION_REGEXP", pattern, "what a new password must look like"),
    _V("WORKSPACE_CREATION", one_of("any", "members", "admins"), "who may create workspaces"),
    _V("SESSION_SWITCH", one_of("any", "own"), "own: `set session.id` refuses login sessions of other users"),

    _V("DISABLE_RATE_LIMIT", yes_no, "no request is ever refused for coming too often"),
    _V("RATE_LIMITS_PROFILE", one_of("strict"), "strict: every limit below holds, not only those of the login routes"),
    _V("RATE_LIMIT_ANONYMOUS_LOGIN", _positive, "anonymous logins a minute and address"),
    _V("RATE_LIMIT_PRISMEAI_LOGIN", _positive, "password logins a minute and account"),
    _V("RATE_LIMIT_SIGNUP", _positive, "signups a minute and address"),
    _V("RATE_LIMIT_PASSWORD_RESET", _positive, "password resets a minute and address"),
    _V("RATE_LIMIT_WEBHOOKS_USER", _positive, "webhook calls a minute and user, or address"),
    _V("RATE_LIMIT_WEBHOOKS_WORKSPACE", _positive, "webhook calls an hour and workspace"),
    _V("RATE_LIMIT_SEARCH_USER", _positive, "searches a minute and user"),
    _V("RATE_LIMIT_UPLOADS", _positive, "file uploads a minute and user"),
    _V("RATE_LIMIT_CREATE_WORKSPACE", _positive, "workspaces created a minute and user"),
    _V("RATE_LIMIT_IMPORT", _positive, "imports a minute and user"),
    _V("TRUSTED_PROXIES", networks, "addresses whose X-Forwarded-For is believed"),

    _V("REQUEST_MAX_SIZE", size, "largest JSON, form or text body"),
    _V("UPLOADS_MAX_SIZE", size, "largest file of a multipart body, and largest binary body"),
    _V("HTTP_TIMEOUT_MS", _count, "a body that has not come, or a webhook that has not answered, by then gets 408; 0 waits for ever"),
    _V("WEBHOOKS_SSE_KEEPALIVE", milliseconds, "shortest interval between keep-alives of a stream"),
    _V("CORRELATION_ID_HEADER", header, "header that names the run"),
    _V("OVERWRITE_CORRELATION_ID_HEADER", yes_no, "no: a correlation id given by the caller is kept"),
    _V("SESSION_ID_HEADER", header, "header of answers that names the session"),
    _V("API_KEY_HEADER", header, "header that brings an API key"),
    _V("CSRF_TOKEN_HEADER", header, "header that calls by cookie need, and in which `GET /v2/me` gives its value"),
    _V("USER_ID_HEADER", header, "header that automations never see: only this server could say who calls"),
    _V("ROLE_HEADER", header, "the same for the role of the caller"),

    _V("CONTEXT_UNAUTHENTICATED_SESSION_EXPIRE_TIME", seconds, "life of a session opened by `set session.id`, after its last set"),
    _V("CONTEXT_RUN_EXPIRE_TIME", seconds, "life of `run` after the last automation of the run"),
    _V("CONTEXT_SOCKET_EXPIRE_TIME", seconds, "life of `socket` after its last set"),
    _V("MAXIMUM_SUCCESSIVE_CALLS", _positive, "deepest chain of calls and emits"),
    _V("WAIT_DEFAULT_TIMEOUT", seconds, "a `wait` without timeout"),
    _V("DEFAULT_LOCALE", text, "locale of date functions"),
    _V("DEFAULT_TIMEZONE", text, "time zone of date functions"),
    _V("TEMPLATE_REEXPANSION", yes_no, "yes: text brought in by a template is read as a template again (unsafe)"),
    _V("EXPOSE_CONTEXT_UPDATES", yes_no, "yes: context changes are shown on the live feed"),
    _V("RUN_MAX_CONCURRENCY", _positive, "runs that execute at the same time; more are queued"),
    _V("WORKSPACE_MAX_CONCURRENT_RUNS", _positive, "the same for one workspace"),
    _V("RUN_MAX_INSTRUCTIONS", _positive, "instructions one run may take"),
    _V("RUN_LEASE_SECONDS", seconds, "a node that is silent for so long is taken for dead, and others take over what it had begun"),

    _V("RATE_LIMIT_DISABLED", yes_no, "yes: nothing inside runs is ever slowed down"),
    _V("RATE_LIMIT_SCOPE", one_of("node", "cluster"), "cluster: the rates are those of all nodes together, each has its share"),
    _V("RATE_LIMIT_AUTOMATIONS", per_second, "automations a second a workspace may start before they are slowed down; 0: any number"),
    _V("RATE_LIMIT_AUTOMATIONS_BURST", _positive, "automations it may start at once"),
    _V("RATE_LIMIT_EMITS", per_second, "the same for emitted events"),
    _V("RATE_LIMIT_EMITS_BURST", _positive, "events it may emit at once"),
    _V("RATE_LIMIT_FETCHS", per_second, "the same for requests sent by fetch"),
    _V("RATE_LIMIT_FETCHS_BURST", _positive, "requests it may send at once"),
    _V("RATE_LIMIT_REPEATS", per_second, "the same for the iterations of repeat"),
    _V("RATE_LIMIT_REPEATS_BURST", _positive, "iterations it may take at once"),

    _V("BROKER_EMIT_MAXLEN", size, "largest event"),
    _V("BROKER_EMIT_EXECUTED_AUTOMATION_MAXLEN", size, "largest executed event before it loses payload and output"),
    _V("PREPROCESSING_RULES_FILEPATH", rules, "file of rules that cover fields of events before they are stored"),
    _V("EVENTS_RETENTION_DAYS", whole(-1), "events older than so many days are dropped; -1 keeps them"),
    _V("EVENTS_RETENTION_MAX", whole(), "newest events of each workspace that are kept; 0 is all of them"),
    _V("EVENTS_SCHEDULED_DELETION_DAYS", whole(-1), "how long the events of a deleted workspace are kept, in days; -1 for as long as others"),
    _V("EVENTS_CLEANUP_WORKSPACE_INACTIVITY_DAYS", whole(-1),
       "a workspace without a new event for so many days, and with few of them, loses them; -1 never"),
    _V("EVENTS_CLEANUP_WORKSPACE_MAX_EVENTS", whole(), "with so many events an idle workspace keeps them; 0 is always"),
    _V("SEARCH_TIMEOUT", seconds, "longest search; 0 for as long as it takes"),
    _V("SEARCH_FORBIDDEN_AGGS", words, "aggregations that searches may not have", may_be_empty=True),
    _V("SEARCH_MAX_DEPTH", _positive, "how deep aggregations may be nested"),

    _V("WS_HEARTBEAT_INTERVAL", seconds, "between two pings of a websocket"),
    _V("WS_IDLE_TIMEOUT", seconds, "a websocket silent for longer is closed"),
    _V("WS_QUEUE_MAX_FRAMES", _positive, "frames queued for a slow websocket before it is closed"),
    _V("WS_QUEUE_MAX_BYTES", size, "the same in bytes"),
    _V("WS_MAX_FRAME_BYTES", size, "largest frame a client may send"),
    _V("WS_MAX_SUBSCRIPTIONS", _positive, "subscriptions of one websocket"),
    _V("WS_MAX_CONNECTIONS_PER_SESSION", _positive, "websockets of one session"),
    _V("WS_RATE_PER_SECOND", _positive, "frames a second a client may send"),
    _V("WS_RATE_BURST", _positive, "frames it may send at once"),
    _V("WS_RESUME_TTL", seconds, "how long a websocket may be resumed"),
    _V("WS_VOLATILE_EVENTS", _count, "events with persist: false kept for replay"),
    _V("WS_VOLATILE_SECONDS", seconds, "how long they are kept"),
    _V("WS_REPLAY_DEFAULT", _positive, "events replayed when the client names no limit"),
    _V("WS_REPLAY_MAX", _positive, "most events replayed"),
    _V("WS_HELLO_TIMEOUT", seconds, "a websocket must say who it is by then"),
    _V("WS_ALLOW_QUERY_TOKEN", yes_no, "yes: ?access_token= is accepted"),

    _V("FETCH_USER_AGENT_HEADER", text, "user agent of `fetch`"),
    _V("FETCH_FORBIDDEN_HOSTS", words, "hosts and networks `fetch` may not reach, besides local ones"),
    _V("FETCH_ALLOWED_HOSTS", words, "local hosts and networks `fetch` may reach"),
    _V("FETCH_MAX_RETRIES", _count, "retries of `fetch` after a lost connection"),
    _V("FETCH_MAX_BYTES", size, "largest answer `fetch` takes"),
    _V("FETCH_TIMEOUT", seconds, "longest `fetch`"),

    _V("MAXIMUM_WORKSPACE_VERSION", _positive, "versions of a workspace that are kept; beyond, the oldest go"),
    _V("MAXIMUM_APP_VERSION", _positive, "the same for the publications of an app"),

    _V("SCHEDULES_MAXIMUM_OCCURRENCE_PATTERN", text, "schedules fire on these marks only; empty: at any time", may_be_empty=True),
    _V("SCHEDULES_CONCURRENCY", _positive, "schedules that fire at the same time"),
    _V("SCHEDULES_CATCHUP_SECONDS", seconds, "a tick missed by less than this is made up for"),
)

FAMILIES = {
    "ADDITIONAL_GLOBAL_VARS_": ("additional_global_vars", "extra global.<name>"),
    "WORKSPACE_CONFIG_": ("workspace_config", "default config of a workspace: <slug>_<KEY>"),
    "APP_CONFIG_": ("app_config", "default config of an app: <slug>_<KEY>"),
}
"""Prefixes of variables with a name of their own after it."""

CONTEXTS = ("global", "run", "user", "session", "socket", "config", "local")
