"""How the outside reaches the runtime: HTTP, websockets and the command line."""
