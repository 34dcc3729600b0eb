"""Two turns of one conversation, printed as the words arrive."""
import json
import sys
import urllib.request
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from outside import BASE, webhook  # noqa: E402


def say(text: str, conversation: str) -> tuple[str, dict]:
    body = json.dumps({"text": text, "conversation": conversation}).encode()
    request = urllib.request.Request(BASE + webhook("chatbot", "say"), body, {"content-type": "application/json"})
    words, last = "", {}
    with urllib.request.urlopen(request, timeout=30) as stream:
        for line in stream:
            if line.startswith(b"data:"):
                last = json.loads(line[5:])
                words += last.get("delta", "")
                print(last.get("delta", ""), end="", flush=True)
    print()
    return words.strip(), last


conversation = uuid.uuid4().hex[:12]
assert say("good morning", conversation)[0] == 'Hello, you said "good morning"'
words, last = say("and good night", conversation)
assert words == 'You said 2 things, first "good morning", now "and good night"', words
assert last == {"done": True, "turns": 2}, last
