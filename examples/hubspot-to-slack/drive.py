"""Send two HubSpot events, one of them a new deal, and print what the stand-in Slack gets."""
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from outside import StandIn, post, webhook  # noqa: E402

EVENTS = [
    {"eventId": 3816279340, "subscriptionId": 25, "portalId": 33, "appId": 1160452, "occurredAt": 1763829000123,
     "subscriptionType": "deal.creation", "attemptNumber": 0, "objectId": 1246965, "changeSource": "CRM", "changeFlag": "NEW"},
    {"eventId": 3816279480, "subscriptionId": 22, "portalId": 33, "appId": 1160452, "occurredAt": 1763829000456,
     "subscriptionType": "deal.propertyChange", "attemptNumber": 0, "objectId": 1246978, "changeSource": "IMPORT",
     "propertyName": "amount", "propertyValue": "1200"},
]

slack = StandIn(int(os.environ.get("SLACK_PORT", "8790")))
status, answer = post(webhook("hubspot", "deals"), EVENTS)
print(status, answer)
slack.close()
assert status == 200 and answer == {"announced": [1246965]}, answer
assert "1246965" in slack.received[0]["text"], slack.received
