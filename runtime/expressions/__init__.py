"""Templates and expressions: text in documents becomes closures. Pure: imports only errors and values."""
