"""Everything a caller may catch. `wire` is the name that leaves the server; names are stable, prose may improve."""
from __future__ import annotations

from typing import Any


class AutomationsError(Exception):
    """A failure with a name, a sentence and JSON details.

    `where` is `file:line:column` or the path of a step; `hint` says what to write instead. Both are for people who
    write automations; the answer to a caller holds name, message and details alone.
    """

    wire = "PrismeError"

    def __init__(self, message: str, details: Any = None, *, where: str = "", hint: str = "", wire: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.where = where
        self.hint = hint
        if wire:
            self.wire = wire

    def body(self) -> dict[str, Any]:
        """`{error, message, details}`; `details` is left out when there are none."""
        body: dict[str, Any] = {"error": self.wire, "message": self.message}
        if self.details is not None and self.details != {} and self.details != []:
            body["details"] = self.details
        return body


class InvalidAutomation(AutomationsError):
    """A definition is refused. `details` lists every problem found, each `{path, message, …}`."""

    wire = "RequestValidationError"


class InvalidSchedule(InvalidAutomation):
    wire = "InvalidScheduleError"


class InvalidSlug(InvalidAutomation):
    wire = "InvalidSlugError"


class AlreadyUsed(InvalidAutomation):
    wire = "AlreadyUsedError"


class InvalidRequest(AutomationsError):
    """A request whose shape is wrong. `details` is a list of `{path, message}`."""

    wire = "RequestValidationError"


class ExpressionError(AutomationsError):
    """An expression that does not parse, or cannot be evaluated on these values."""

    wire = "InvalidExpressionSyntax"


class VariableNameError(AutomationsError):
    wire = "InvalidVariableNameError"


class NotFound(AutomationsError):
    wire = "ObjectNotFoundError"


class Refused(AutomationsError):
    """The caller may not, or not now."""


class Unauthenticated(Refused):
    wire = "AuthenticationError"


class Forbidden(Refused):
    wire = "ForbiddenError"


class Suspended(Refused):
    """The workspace starts nothing until an administrator resumes it."""

    wire = "SuspendedWorkspaceError"


class TooLarge(Refused):
    wire = "PayloadTooLarge"


class InvalidUpload(TooLarge):
    wire = "InvalidUploadError"


class TooMany(Refused):
    """`details.retryAfter` is in seconds."""

    wire = "TooManyRequests"


class TooBusy(Refused):
    """Draining or overloaded: nothing was started, try again."""

    wire = "ServiceUnavailable"


class RunFailed(AutomationsError):
    """An automation stopped with an error."""


class InvalidInstruction(RunFailed):
    wire = "InvalidInstructionError"


class InvalidArguments(RunFailed):
    """`details` lists the first error, in the words of Ajv 6."""

    wire = "InvalidArgumentsError"


class InvalidEvent(RunFailed):
    wire = "InvalidEventError"


class InvalidOutput(RunFailed):
    wire = "InvalidOutputError"


class TooManyCalls(RunFailed):
    wire = "TooManyCallError"


class ContextTooLarge(RunFailed):
    wire = "ContextTooLargeError"


class OverBudget(RunFailed):
    """A run took more instructions, or built more text, than a run may."""


class TooDeep(RunFailed, TypeError):
    """A value whose maps and lists are nested beyond what JSON can hold."""


class TimedOut(RunFailed):
    wire = "TimeoutError"


class Internal(RunFailed):
    """A fault of ours. What happened stands in the log, the caller learns that it is not theirs."""

    wire = "Internal"

    def __init__(self) -> None:
        super().__init__("Internal server error")


class FetchFailed(RunFailed):
    """The network, not an HTTP status: an address that is refused, a name that does not resolve, a connection lost."""

    wire = "FetchError"


class HeldElsewhere(Exception):
    """The run lives on another node, which must be asked instead."""

    def __init__(self, url: str) -> None:
        super().__init__(f"the run is held by the node at {url}")
        self.url = url
