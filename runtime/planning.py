"""Which automations of a workspace are planned: what a new revision changes for the scheduler."""
from __future__ import annotations

from runtime.catalog import Catalog
from runtime.language.automation import Automation
from runtime.scheduler import Scheduler
from runtime.workspace import Workspace

Ticks = dict[tuple[str, str], int]
"""(workspace id, automation) → its last firing."""


def plan(scheduler: Scheduler, catalog: Catalog, before: Workspace | None, workspace: Workspace, ticks: Ticks | None) -> None:
    """Go on with this revision. `ticks` are given after a downtime: what came after them was missed."""
    wanted, planned = _scheduled(workspace), _scheduled(before) if before else {}
    for slug in planned.keys() - wanted.keys():
        scheduler.forget(workspace.id, slug)
    for slug, automation in wanted.items():
        old = planned.get(slug)
        if old is None or old.schedules != automation.schedules:
            last = None if ticks is None else max(ticks.get((workspace.id, slug), 0), _since(catalog, automation))
            scheduler.plan(workspace.id, slug, automation.schedules, last)


def _scheduled(workspace: Workspace) -> dict[str, Automation]:
    """The automations whose schedules count: private ones of apps are left to their app. None of a workspace that is suspended."""
    if workspace.is_suspended:
        return {}
    return {automation.full_slug: automation for instance in workspace.instances.values() for automation in instance.automations.values()
            if automation.schedules and not (instance.path and automation.private)}


def _since(catalog: Catalog, automation: Automation) -> int:
    """When the automation was changed last, at the latest: a tick before that was not missed."""
    since, instance = catalog.revision(automation.instance.workspace_id).updated_at, automation.instance
    while instance.parent is not None:
        since, instance = max(since, catalog.require_app(instance.app_slug).latest.created_at), instance.parent
    return since
