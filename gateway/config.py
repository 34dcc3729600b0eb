"""What an operator may turn: every environment variable, read once, checked, and explained."""
from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from gateway.variables import CONTEXTS, FAMILIES, VARIABLES, Unreadable, Variable, milliseconds, size
from runtime.settings import RuntimeSettings

_LOGIN_LIMITS = {"anonymous_login": 10, "prismeai_login": 5, "signup": 1, "password_reset": 1}
_STRICT_LIMITS = {"webhooks_user": 30, "webhooks_workspace": 2000, "search_user": 20, "uploads": 50,
                  "create_workspace": 3, "import": 3}
_STRICT_RATES = {"rate_limit_automations": 100, "rate_limit_emits": 30, "rate_limit_fetchs": 50, "rate_limit_repeats": 1000}


class BadSettings(ValueError):
    """One line for each variable that cannot be read."""


class Described(NamedTuple):
    """A setting as people see it: secrets are masked, `origin` is `environment` or `default`."""

    name: str
    value: str
    origin: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Sizes are bytes, times seconds unless the name says otherwise. Defaults are right for a laptop and safe on the internet."""

    host: str = "127.0.0.1"
    port: int = 8700
    storage_url: str = "file:./data"
    storage_durability: str = "commit"
    shutdown_grace_seconds: float = 30
    node_url: str = ""
    cors_additional_allowed_origins: tuple[str, ...] = ()
    admin_token: str = ""
    jwt_secret: str = ""
    internal_api_key: str = ""
    log_format: str = "text"
    log_level: str = "info"
    log_requests: bool = False
    tracing: bool = False
    secrets_key: tuple[str, ...] = ()
    access_tokens_max_age: int = 2_592_000
    session_cookies_max_age: int = 2_592_000
    super_admin_emails: tuple[str, ...] = ()
    password_validation_regexp: str = "^.{8,32}$"
    workspace_creation: str = "any"
    disable_rate_limit: bool = False
    rate_limits_profile: str = ""
    rate_limit_anonymous_login: int | None = None
    rate_limit_prismeai_login: int | None = None
    rate_limit_signup: int | None = None
    rate_limit_password_reset: int | None = None
    rate_limit_webhooks_user: int | None = None
    rate_limit_webhooks_workspace: int | None = None
    rate_limit_search_user: int | None = None
    rate_limit_uploads: int | None = None
    rate_limit_create_workspace: int | None = None
    rate_limit_import: int | None = None
    trusted_proxies: tuple[str, ...] = ()
    request_max_size: int = 1_048_576
    uploads_max_size: int = 10_000_000
    http_timeout_ms: int = 60_000
    overwrite_correlation_id_header: bool = True
    session_id_header: str = "x-prismeai-session-id"
    api_key_header: str = "x-prismeai-api-key"
    csrf_token_header: str = "x-prismeai-csrf-token"
    user_id_header: str = "x-prismeai-user-id"
    role_header: str = "x-prismeai-role"
    search_timeout: float = 2
    search_forbidden_aggs: tuple[str, ...] = ("scripted_metric",)
    search_max_depth: int = 5
    ws_heartbeat_interval: float = 25
    ws_idle_timeout: float = 60
    ws_queue_max_frames: int = 1000
    ws_queue_max_bytes: int = 4_194_304
    ws_max_frame_bytes: int = 131_072
    ws_max_subscriptions: int = 50
    ws_max_connections_per_session: int = 20
    ws_rate_per_second: int = 100
    ws_rate_burst: int = 400
    ws_resume_ttl: float = 43_200
    ws_replay_default: int = 1000
    ws_replay_max: int = 10_000
    ws_hello_timeout: float = 10
    ws_allow_query_token: bool = False
    runtime: RuntimeSettings = field(default_factory=RuntimeSettings)
    given: frozenset[str] = frozenset()
    """Names of the variables that the environment has set."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Raises `BadSettings`, which names every variable that cannot be read, its value and what is expected."""
        values, problems = _read(environment)
        if problems:
            raise BadSettings("\n".join(problems))
        given = frozenset(name for name, _ in _given(environment))
        _fill_addresses(values)
        if values.get("rate_limits_profile") == "strict":
            values = {**_STRICT_RATES, **values}
        own = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        runtime = {f.name: values[f.name] for f in fields(RuntimeSettings) if f.name in values}
        return cls(**own, runtime=RuntimeSettings(**runtime), given=given)

    @property
    def is_shared(self) -> bool:
        """Whether several nodes may use the store."""
        return self.storage_url.startswith("mongodb")

    def node_address(self, host_name: str) -> str:
        """Where other nodes reach this one: NODE_URL, else what follows from HOST and PORT."""
        if self.node_url:
            return self.node_url
        host = {"": host_name, "0.0.0.0": host_name, "::": host_name, "localhost": "127.0.0.1"}.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def rate_limit(self, name: str) -> int | None:
        """The limit RATE_LIMIT_<name> as it holds here; None when there is none."""
        if self.disable_rate_limit:
            return None
        explicit: int | None = getattr(self, f"rate_limit_{name}")
        if explicit is not None:
            return explicit
        strict = _STRICT_LIMITS.get(name) if self.rate_limits_profile == "strict" else None
        return _LOGIN_LIMITS.get(name, strict)

    def describe(self) -> Iterator[Described]:
        """Every setting, its value, where the value comes from and what it is for."""
        for variable in VARIABLES:
            yield Described(variable.name, self._shown(variable), self._origin(variable.name), variable.meaning)
        for context in CONTEXTS:
            name = f"CONTEXT_{context.upper()}_MAX_SIZE"
            yield Described(name, str(self.runtime.context_max_sizes[context]), self._origin(name),
                            f"size of {context} above which an error event warns; twice as much is refused")
        for prefix, (attribute, meaning) in FAMILIES.items():
            for name in getattr(self.runtime, attribute):
                yield Described(prefix + name, "***", "environment", meaning)

    def _origin(self, name: str) -> str:
        return "environment" if name in self.given else "default"

    def _shown(self, variable: Variable) -> str:
        attribute = variable.name.lower()
        value = getattr(self, attribute) if hasattr(self, attribute) else getattr(self.runtime, attribute)
        if variable.name.startswith("RATE_LIMIT_") and hasattr(self, attribute):
            value = self.rate_limit(attribute.removeprefix("rate_limit_"))
        if variable.read is milliseconds:
            value = round(value * 1000)
        if isinstance(value, bool):
            return "yes" if value else "no"
        if variable.is_secret:
            return "***" if value else "(made at first start)"
        if variable.name == "STORAGE_URL":
            value = without_password(value)
        return "-" if value in ("", (), None) else ",".join(value) if isinstance(value, tuple) else str(value)


def without_password(url: str) -> str:
    """The address of a store as it may be shown."""
    return re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1:***@", url)


def _given(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The variables of ours that are set, with their text. CONSOLE_URL is the old name of STUDIO_URL."""
    for variable in VARIABLES:
        text = environment.get(variable.name)
        if variable.name == "STUDIO_URL":
            text = text or environment.get("CONSOLE_URL")
        if text is not None and (text.strip() or variable.may_be_empty):
            yield variable.name, text
    for name, text in environment.items():
        if name.startswith(tuple(FAMILIES)) or name in _SIZES and text:
            yield name, text


_SIZES = {f"CONTEXT_{context.upper()}_MAX_SIZE": context for context in CONTEXTS}
_SECRET = frozenset(variable.name for variable in VARIABLES if variable.is_secret)
_READERS = {variable.name: variable.read for variable in VARIABLES}


def _read(environment: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Values by field, and what is wrong."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    sizes = dict(RuntimeSettings().context_max_sizes)
    for name, text in _given(environment):
        family = next((prefix for prefix in FAMILIES if name.startswith(prefix)), None)
        try:
            if family:
                values.setdefault(FAMILIES[family][0], {})[name[len(family):]] = text
            elif name in _SIZES:
                sizes[_SIZES[name]] = size(text)
            else:
                values[name.lower()] = _READERS[name](text)
        except Unreadable as problem:
            shown = "***" if name in _SECRET else repr(text)
            problems.append(f"{name}={shown}: expected {problem}")
    values["context_max_sizes"] = sizes
    return values, problems


def _fill_addresses(values: dict[str, Any]) -> None:
    """The public addresses that follow from the port, and from each other."""
    port = values.get("port", Settings.__dataclass_fields__["port"].default)
    api_url = values.setdefault("api_url", f"http://localhost:{port}/v2")
    parts = urlsplit(api_url)
    values.setdefault("studio_url", f"{parts.scheme}://{parts.netloc}")
    values.setdefault("pages_host", f".pages.localhost:{port}")
