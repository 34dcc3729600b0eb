"""The store of several nodes, on MongoDB: one log that all of them append to, and collections made of it."""
