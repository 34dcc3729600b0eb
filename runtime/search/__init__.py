"""Finding events: what a caller asks, as conditions a store understands, and what is counted on the way through the answers."""
