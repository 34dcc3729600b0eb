"""The native instructions: word → how a step is built from the instruction's body. Any other word is a call."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runtime.instructions import assign, auth, branch, breaks, call, emit, fetch, guard, limit, loop, module, note, parallel, topics, wait
from runtime.instructions.step import Step

Build = Callable[[Any, tuple, Any], Step]
"""(body, place in the document, compiler) → step. Raises an `AutomationsError` for a body that cannot work."""

INSTRUCTIONS: dict[str, Build] = {
    "all": parallel.build,
    "auth": auth.build,
    "break": breaks.build,
    "comment": note.build,
    "conditions": branch.build,
    "createUserTopic": topics.build_create,
    "delete": assign.build_delete,
    "emit": emit.build,
    "fetch": fetch.build,
    "joinUserTopic": topics.build_join,
    "rateLimit": limit.build,
    "repeat": loop.build,
    "run": module.build,
    "runWorkflow": call.build_workflow,
    "set": assign.build_set,
    "try": guard.build,
    "wait": wait.build,
}
