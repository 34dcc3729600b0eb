"""Signatures of requests to Amazon Web Services, version 4. Pure: the time comes in."""
from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"
_ALWAYS_SIGNED = ("host", "content-type")


@dataclass(frozen=True, slots=True)
class AwsCredentials:
    access_key_id: str
    secret_access_key: str
    service: str
    region: str
    session_token: str = ""


def sign(method: str, url: str, headers: Mapping[str, str], body: bytes, *, credentials: AwsCredentials, now: int) -> dict[str, str]:
    """The headers to add to the request. `url` is the one that goes over the wire; `now` in milliseconds."""
    parts = urlsplit(url)
    stamp = datetime.fromtimestamp(now / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    body_hash = hashlib.sha256(body).hexdigest()
    added = {"x-amz-date": stamp}
    if credentials.session_token:
        added["x-amz-security-token"] = credentials.session_token
    if credentials.service == "s3":
        added["x-amz-content-sha256"] = body_hash
    signed = {name.lower(): " ".join(value.split()) for name, value in (*headers.items(), *added.items())
              if name.lower() in _ALWAYS_SIGNED or name.lower().startswith("x-amz-")}
    signed.setdefault("host", _authority(parts.scheme, parts.hostname or "", parts.port))
    names = ";".join(sorted(signed))
    canonical = "\n".join((method.upper(), _canonical_path(parts.path, credentials.service), _canonical_query(parts.query),
                           *(f"{name}:{signed[name]}" for name in sorted(signed)), "", names, body_hash))
    scope = f"{stamp[:8]}/{credentials.region}/{credentials.service}/aws4_request"
    text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(_signing_key(credentials, stamp[:8]), text.encode(), hashlib.sha256).hexdigest()
    added["authorization"] = (f"{_ALGORITHM} Credential={credentials.access_key_id}/{scope}, "
                              f"SignedHeaders={names}, Signature={signature}")
    return added


def _authority(scheme: str, host: str, port: int | None) -> str:
    host = f"[{host}]" if ":" in host else host
    return host if port in (None, 443 if scheme == "https" else 80) else f"{host}:{port}"


def _canonical_path(path: str, service: str) -> str:
    # Every service but S3 encodes the path once more than it stands in the request.
    return (path if service == "s3" else quote(path, safe="/~")) or "/"


def _canonical_query(query: str) -> str:
    pairs = [(quote(name, safe="~"), quote(value, safe="~")) for name, value in parse_qsl(query, keep_blank_values=True)]
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _signing_key(credentials: AwsCredentials, date: str) -> bytes:
    key = b"AWS4" + credentials.secret_access_key.encode()
    for part in (date, credentials.region, credentials.service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
