"""Which web pages may call, and read the answers: those of the studio, of the workspaces, and of listed origins."""
from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

from gateway.config import Settings

_METHODS = "GET, POST, PUT, PATCH, DELETE, HEAD"
_REQUEST_HEADERS = "authorization, content-type, accept-language, x-prismeai-token"
_ANSWER_HEADERS = "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After"
_PREFLIGHT_SECONDS = "600"


class Cors:
    """The allow-list. Credentials are allowed, so the origin is named and never `*`."""

    def __init__(self, settings: Settings) -> None:
        studio = urlsplit(settings.runtime.studio_url)
        self._origins = frozenset((f"{studio.scheme}://{studio.netloc}", *settings.cors_additional_allowed_origins))
        self._pages_host = settings.runtime.pages_host.lower()
        self._exposed = ", ".join((settings.runtime.correlation_id_header, settings.session_id_header, settings.csrf_token_header,
                                   _ANSWER_HEADERS))
        self._accepted = f"{_REQUEST_HEADERS}, {settings.api_key_header}, {settings.csrf_token_header}"
        self.allows = lru_cache(1024)(self._allows)

    def headers(self, origin: str, *, is_preflight: bool = False) -> dict[str, str]:
        """What to answer to a page of `origin`."""
        if not self.allows(origin):
            return {"Vary": "Origin"}
        headers = {"Vary": "Origin", "Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}
        if is_preflight:
            return {**headers, "Access-Control-Allow-Methods": _METHODS, "Access-Control-Allow-Headers": self._accepted,
                    "Access-Control-Max-Age": _PREFLIGHT_SECONDS}
        return {**headers, "Access-Control-Expose-Headers": self._exposed}

    def _allows(self, origin: str) -> bool:
        """Pages live at `<workspace slug><PAGES_HOST>`."""
        if origin in self._origins:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and parts.netloc.lower().endswith(self._pages_host)
