"""An automation, frozen: what it is called, what starts it, and its compiled body."""
from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from runtime.arguments import Validator, compile_arguments
from runtime.language.compiler import Compiler
from runtime.redaction import SecretPaths, redacted_fields, secret_fields

if TYPE_CHECKING:
    from runtime.expressions import Evaluate
    from runtime.instructions.step import Step
    from runtime.workspace import Instance


class Automation:
    """One automation of one workspace or app instance.

    Its instructions are compiled at their first use and kept: a workspace of ten thousand automations opens at once, and
    each is still compiled only once.
    """

    def __init__(self, slug: str, document: dict[str, Any], instance: Instance) -> None:
        when = document.get("when") or {}
        endpoint = when.get("endpoint")
        self.slug = slug
        self.document = document
        self.instance = instance
        self.full_slug = instance.prefix + slug
        self.private = document.get("private") is True
        authorizations = document.get("authorizations")
        self.action: str | None = authorizations.get("action") if isinstance(authorizations, dict) else None
        """What callers must be allowed to do; None when everybody may run it."""
        self.endpoint: str | None = slug if endpoint is True else endpoint or None
        self.events: list[str] = list(when.get("events") or ())
        self.schedules: list[str] = list(when.get("schedules") or ())
        self.length = len(document.get("do") or ())
        """Instructions of its own, branches counted as one."""

    def __repr__(self) -> str:
        return f"<Automation {self.full_slug}>"

    @cached_property
    def body(self) -> Step:
        return self._compiler.block(self.document.get("do") or [], ("do",))

    @cached_property
    def output(self) -> Evaluate | None:
        """None when there is no output to evaluate, which yields `{}`."""
        written = self.document.get("output")
        return None if written is None or written == "" else self._compiler.value(written)

    @cached_property
    def validator(self) -> Validator | None:
        """None when arguments are not validated."""
        if self.document.get("validateArguments") is not True:
            return None
        arguments, schemas = self.document.get("arguments"), self.document.get("schemas")
        return compile_arguments(arguments or {}, schemas=schemas) if arguments or schemas else None

    @cached_property
    def secrets(self) -> SecretPaths | None:
        """Which arguments hide their values in native events; None when none does."""
        return self._marked(secret_fields)

    @cached_property
    def redacted(self) -> SecretPaths | None:
        """Which arguments are covered where the automation tells what it was called with; None when none is."""
        return self._marked(redacted_fields)

    def _marked(self, find: Callable[[Any], SecretPaths]) -> SecretPaths | None:
        branches = [branch.get("payload") for branch in self.document.get("schemas") or () if isinstance(branch, dict)]
        return tuple(dict.fromkeys(path for schema in (self.document.get("arguments"), *branches) for path in find(schema or {}))) or None

    @property
    def _compiler(self) -> Compiler:
        return Compiler(reexpand=self.instance.settings.template_reexpansion)
