"""Every store there is, for the tests that hold for all of them."""
from __future__ import annotations

from stores import mongodb, mongodb_server, store, store_url

__all__ = ["mongodb", "mongodb_server", "store", "store_url"]
