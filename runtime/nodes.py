"""What tells the nodes of one store apart: their names, and identifiers that no two of them make."""
from __future__ import annotations

import os
from hashlib import blake2b

from runtime.ids import Ids
from store.records import Member


def named(member: Member, ids: Ids) -> Member:
    """The member under a name that nobody had before, and that says to nodes on the same host which process it is."""
    return member._replace(id=f"{_place(member.host)}-{member.pid}-{ids.token(6)}")


def is_gone(id: str, host: str) -> bool:
    """Whether a node of this name ran on this host and its process has ended. False where that cannot be known."""
    place, _, rest = id.partition("-")
    pid = rest.partition("-")[0]
    if place != _place(host) or not pid.isdecimal() or int(pid) == 0:
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:                                        # it is there, and belongs to somebody else
        return False
    return False


def _place(host: str) -> str:
    """Where process numbers mean the same: a host, and on it a container."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return blake2b(f"{host}\0{namespace}".encode(), digest_size=6).hexdigest()


class NodeIds:
    """Identifiers of one node among several. Event ids count on each node for itself, so they carry a number of the node."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._node = 1 + int(ids.token(4), 16) % 999_999_999
        self.correlation_id = ids.correlation_id
        self.workspace_id = ids.workspace_id
        self.token = ids.token
        self.uuid = ids.uuid
        self.random = ids.random

    def event_id(self, now: int) -> str:
        moment, _, count = self._ids.event_id(now).partition("-")
        return f"{moment}-{self._node}{count:0>5}"
