"""The live feed: websockets and server-sent events, replay and resuming, slow readers dropped."""
