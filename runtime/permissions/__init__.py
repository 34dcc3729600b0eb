"""Who may do what in a workspace: the rules of its `security` section, whom it is shared with, its API keys, and the decision.

Nothing here waits, reads a store at decision time, or knows how a caller came in.
"""
