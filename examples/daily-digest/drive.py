"""Report two things, then ask for the digest that the schedule would send."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from outside import post, webhook  # noqa: E402

post(webhook("digests", "digest"))                                   # start from an empty list
print(post(webhook("digests", "report"), {"title": "The printer is out of paper"}))
print(post(webhook("digests", "report"), {"title": "The coffee is cold"}))
status, digest = post(webhook("digests", "digest"))
print(status, digest)
assert status == 200 and digest["count"] == 2 and "coffee" in digest["text"], digest
