"""Settings that hold for every test."""
from __future__ import annotations

import os

from hypothesis import settings
from stores import mongodb, mongodb_server

__all__ = ["mongodb", "mongodb_server"]

# On every change the same examples run each time: a property that fails there fails at home. At home new ones are tried.
settings.register_profile("same-every-time", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("same-every-time")
