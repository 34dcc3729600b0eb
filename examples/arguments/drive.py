"""A call with good arguments, one with bad ones, and one automation calling another."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from outside import post, webhook  # noqa: E402

status, answer = post(webhook("argumnt", "validated"), {"obj": {"un": "deux", "uri": "https://example.org/"}})
print(status, answer)
assert (status, answer) == (200, {"un": "deux", "uri": "https://example.org/"})

status, answer = post(webhook("argumnt", "validated"), {"obj": {"un": "DEUX"}})
print(status, answer)
assert (status, answer) == (400, {
    "error": "InvalidArgumentsError", "message": "Invalid arguments",
    "details": [{"keyword": "pattern", "dataPath": ".body.obj.un",
                 "schemaPath": "#/properties/body/properties/obj/properties/un/pattern",
                 "params": {"pattern": "^[a-z]+$"}, "message": 'should match pattern "^[a-z]+$"'}]})

status, answer = post(webhook("argumnt", "callsTestArguments"), {"token": "very-secret"})
print(status, answer)
assert (status, answer) == (200, {"string": "Hello", "number": 24, "nested": "inside"})
