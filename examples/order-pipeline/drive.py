"""One order through the whole pipeline."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from outside import post, webhook  # noqa: E402

status, answer = post(webhook("orderpl", "order"), {"items": [{"price": 30, "quantity": 3}, {"price": 12.5, "quantity": 2}]})
print(status, answer)
assert (status, answer) == (200, {"total": 115, "steps": ["taken", "priced", "packed"], "box": "large"}), answer
