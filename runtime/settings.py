"""What an operator may turn in the runtime. Names are those of the environment variables, in lower case."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runtime.preprocessing import Rules


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """Seconds, bytes and counts; defaults are right for a laptop and safe on the internet."""

    api_url: str = "http://localhost:8700/v2"
    studio_url: str = "http://localhost:8700"
    pages_host: str = ".pages.localhost:8700"
    maximum_successive_calls: int = 20
    context_unauthenticated_session_expire_time: float = 3600
    context_run_expire_time: float = 60
    context_socket_expire_time: float = 21600
    context_max_sizes: Mapping[str, int] = field(default_factory=lambda: {
        "global": 500_000, "run": 500_000, "user": 100_000, "session": 1_000_000, "socket": 100_000,
        "config": 100_000, "local": 50_000_000})
    wait_default_timeout: float = 20
    session_switch: str = "any"
    template_reexpansion: bool = False
    default_locale: str = "en"
    default_timezone: str = "Europe/Paris"
    broker_emit_maxlen: int = 100_000
    broker_emit_executed_automation_maxlen: int = 100_000
    preprocessing_rules_filepath: Rules | None = None
    """What the file says that PREPROCESSING_RULES_FILEPATH names."""
    events_retention_days: int = 180
    events_retention_max: int = 0
    events_scheduled_deletion_days: int = 90
    events_cleanup_workspace_inactivity_days: int = 15
    events_cleanup_workspace_max_events: int = 100
    webhooks_sse_keepalive: float = 5.0
    run_max_concurrency: int = 1000
    workspace_max_concurrent_runs: int = 200
    run_lease_seconds: float = 10
    run_max_instructions: int = 20_000_000
    rate_limit_disabled: bool = False
    rate_limit_scope: str = "node"
    rate_limit_automations: float = 0
    rate_limit_automations_burst: int = 400
    rate_limit_emits: float = 0
    rate_limit_emits_burst: int = 100
    rate_limit_fetchs: float = 0
    rate_limit_fetchs_burst: int = 200
    rate_limit_repeats: float = 0
    rate_limit_repeats_burst: int = 4000
    schedules_maximum_occurrence_pattern: str = "*/15 * * * *"
    schedules_concurrency: int = 15
    schedules_catchup_seconds: float = 900
    fetch_user_agent_header: str = "Prisme.ai Workspaces"
    fetch_forbidden_hosts: tuple[str, ...] = ()
    fetch_allowed_hosts: tuple[str, ...] = ()
    fetch_max_retries: int = 2
    fetch_max_bytes: int = 50_000_000
    fetch_timeout: float = 60
    maximum_workspace_version: int = 20
    maximum_app_version: int = 1000
    correlation_id_header: str = "x-correlation-id"
    internal_api_url: str = ""
    ws_volatile_events: int = 1000
    ws_volatile_seconds: float = 60
    expose_context_updates: bool = False
    additional_global_vars: Mapping[str, str] = field(default_factory=dict)
    workspace_config: Mapping[str, str] = field(default_factory=dict)
    """`<workspace slug>_<KEY>` → value, from WORKSPACE_CONFIG_…"""
    app_config: Mapping[str, str] = field(default_factory=dict)
    """`<app slug>_<KEY>` → value, from APP_CONFIG_…"""
