"""Every store there is, for the tests that hold for all of them."""
from __future__ import annotations

from stores import store, store_url

__all__ = ["store", "store_url"]
