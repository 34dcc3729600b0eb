"""A signed push, a signed ping, and a forgery."""
import hashlib
import hmac
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from outside import post, webhook  # noqa: E402

PUSH = {"ref": "refs/heads/main", "repository": {"full_name": "octo/hello"}, "pusher": {"name": "octocat"},
        "commits": [{"id": "6dcb09b5b57875f334f61aebed695e2e4193db5e", "message": "Fix all the bugs <é>"}]}


def deliver(event: str, payload: dict, secret: str = "change-me") -> tuple[int, object]:
    raw = json.dumps(payload, indent=1).encode()           # spaces on purpose: the signature is over the bytes
    signature = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    headers = {"x-github-event": event, "x-hub-signature-256": "sha256=" + signature}
    return post(webhook("githubw", "github"), headers=headers, raw=raw)


print(deliver("push", PUSH))
assert deliver("push", PUSH) == (200, {"accepted": "push"})
assert deliver("ping", {"zen": "Speak like a human."}) == (200, {"pong": "Speak like a human."})
assert deliver("push", PUSH, secret="guessed") == (401, {"error": "bad signature"})
print("a forged delivery is refused")
