"""What a store may raise."""
from __future__ import annotations


class StoreError(Exception):
    """The store could not do what it was asked; nothing of that batch was written."""


class Conflict(StoreError):
    """Somebody else wrote this fact first: a tick that fired already, a slug that is taken."""


class Unavailable(StoreError):
    """The store cannot be reached, or is closing."""


class Full(StoreError):
    """No room is left on the disk."""


class Fenced(StoreError):
    """The others have taken this node for dead and gone on with its runs: it may write again only under a new name."""
