"""Which HTTP status an error has. The only place that knows."""
from __future__ import annotations

import math
from typing import Any

from gateway.limits import Limited
from runtime import errors
from runtime.errors import AutomationsError
from store.errors import StoreError

# An uncaught failure of a run is the author's, so 400, whatever it is; only these names have a status of their own.
_STATUS = {
    "AuthenticationError": 401,
    "ForbiddenError": 403,
    "ObjectNotFoundError": 404,
    "NotFoundError": 404,
    "MethodNotAllowed": 405,
    "PayloadTooLarge": 413,
    "InvalidUploadError": 413,
    "TooManyRequests": 429,
    "Internal": 500,
    "ServiceUnavailable": 503,
}
_RETRY_SECONDS = 1


class RouteNotFound(errors.NotFound):
    wire = "NotFoundError"


class MethodNotAllowed(errors.Refused):
    wire = "MethodNotAllowed"


class TooSlow(errors.Refused):
    """The body of a request did not arrive in time. A run that fails for want of time is another matter: see `TimedOut`."""

    wire = "TimeoutError"

    def __init__(self, timeout: int) -> None:
        super().__init__(f"The body has not arrived within {timeout} ms", {"timeout": timeout})

    def body(self) -> dict[str, Any]:
        return {**super().body(), **self.details}


class Internal(AutomationsError):
    """What a caller hears of a fault of ours: nothing."""

    wire = "Internal"

    def __init__(self) -> None:
        super().__init__("Internal server error")


def status_of(error: AutomationsError) -> int:
    return 408 if isinstance(error, TooSlow) else _STATUS.get(error.wire, 400)


def headers_of(error: AutomationsError) -> dict[str, str]:
    """`Retry-After` for what is worth trying again."""
    if isinstance(error, errors.TooBusy):
        return {"Retry-After": str(math.ceil(_retry_after(error.details)))}
    if isinstance(error, errors.TooMany):
        headers = error.headers if isinstance(error, Limited) else {}
        return {**headers, "Retry-After": str(math.ceil(_retry_after(error.details)))}
    return {}


def known(error: BaseException) -> AutomationsError | None:
    """The error as its caller may see it; None for a fault of ours."""
    if isinstance(error, AutomationsError):
        return error
    if isinstance(error, StoreError):
        return errors.TooBusy("The storage is not available, try again", {"reason": type(error).__name__, "retryAfter": _RETRY_SECONDS})
    return None


def invalid(message: str, path: str = "") -> errors.InvalidRequest:
    """A request that is refused for its shape; `path` says which part."""
    return errors.InvalidRequest(message, [{"path": path, "message": message}])


def _retry_after(details: Any) -> float:
    return details.get("retryAfter", _RETRY_SECONDS) if isinstance(details, dict) else _RETRY_SECONDS
