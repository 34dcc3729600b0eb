"""Where facts live. Imports nothing of the runtime and nothing of the gateway."""
