"""run crypto: hashes, signatures, encodings and randomness."""
from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any

from runtime.modules.around import Around, choice, refuse, whole
from runtime.values import UNDEFINED, encode

_ENCODINGS = ("hex", "base64", "base64url")
_ALGORITHMS = ("sha256", "sha512", "sha384", "sha1", "md5")
_MAX_RANDOM_BYTES = 65_536


def _hash(algorithm: str) -> Callable[[Mapping[str, Any], Around], str]:
    def digest(parameters: Mapping[str, Any], around: Around) -> str:
        return _written(hashlib.new(algorithm, _bytes(parameters, "data"), usedforsecurity=False).digest(), parameters)
    return digest


def sign(parameters: Mapping[str, Any], around: Around) -> str:
    """The HMAC of `data` with `key`."""
    algorithm = choice(parameters, "algorithm", _ALGORITHMS)
    return _written(hmac.new(_bytes(parameters, "key"), _bytes(parameters, "data"), algorithm).digest(), parameters)


def base64_encode(parameters: Mapping[str, Any], around: Around) -> str:
    return _as_base64(_bytes(parameters, "data"), url_safe=parameters.get("urlSafe") is True)


def base64_decode(parameters: Mapping[str, Any], around: Around) -> str:
    """The text that `data` encodes, in either alphabet, with or without padding."""
    data = parameters.get("data")
    if type(data) is not str:
        refuse("data must be a text", parameter="data")
    plain = "".join(data.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        refuse("data is not base64", parameter="data")


def random_bytes(parameters: Mapping[str, Any], around: Around) -> str:
    length = whole(parameters, "length", 32, least=1, most=_MAX_RANDOM_BYTES)
    return _written(bytes.fromhex(around.ids.token(length)), {"encoding": "base64url", **parameters})


def random_uuid(parameters: Mapping[str, Any], around: Around) -> str:
    return around.ids.uuid()


FUNCTIONS = {
    "sha256": _hash("sha256"), "sha512": _hash("sha512"), "md5": _hash("md5"), "hmac": sign, "base64Encode": base64_encode,
    "base64Decode": base64_decode, "randomBytes": random_bytes, "randomUUID": random_uuid,
}


def _bytes(parameters: Mapping[str, Any], name: str) -> bytes:
    """Text as UTF-8; anything else as its JSON."""
    value = parameters.get(name, UNDEFINED)
    if value is UNDEFINED:
        refuse(f"{name} is missing", parameter=name)
    if type(value) is bytes:
        return value
    return value.encode("utf-8", "surrogatepass") if type(value) is str else encode(value)


def _written(digest: bytes, parameters: Mapping[str, Any]) -> str:
    encoding = choice(parameters, "encoding", _ENCODINGS)
    return digest.hex() if encoding == "hex" else _as_base64(digest, url_safe=encoding == "base64url")


def _as_base64(data: bytes, *, url_safe: bool) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=") if url_safe else base64.b64encode(data).decode()
