"""Which hosts and addresses a fetch may reach. Pure: it decides on names and addresses that somebody else resolved."""
from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Loopback, link-local and cloud metadata, plus what no web server has: "this host", multicast, reserved, broadcast.
# Private networks are not here: a server behind the firewall is what many automations talk to.
_FORBIDDEN = (
    "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
    "100.100.100.200", "168.63.129.16", "192.0.0.192",
    "::", "::1", "fe80::/10", "fec0::/10", "ff00::/8",
    "fd00:ec2::/32", "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:42::42",
    "metadata.google.internal", "metadata.goog",
)

_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")

_NAT64 = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")
_V4_COMPATIBLE = IPv6Network("::/96")
_V4_TRANSLATED = IPv6Network("::ffff:0:0:0/96")


class ForbiddenAddress(Exception):
    """A host that may not be reached; the text says why, in words for the writer of the automation."""


@dataclass(frozen=True, slots=True)
class HostList:
    """Host names, `*.suffixes`, addresses and networks, as an operator lists them. `*` is every host."""

    names: frozenset[str]
    suffixes: tuple[str, ...]
    networks: tuple[Network, ...]
    is_everything: bool

    @classmethod
    def parse(cls, entries: Iterable[str]) -> HostList:
        names, suffixes, networks, everything = set(), [], [], False
        for entry in entries:
            entry = entry.strip().strip("[]").lower().rstrip(".")
            if entry == "*":
                everything = True
            elif entry.startswith("*."):
                suffixes.append(entry[1:])
            elif (network := _network(entry)) is not None:
                networks.append(network)
            elif entry:
                names.add(entry)
        return cls(frozenset(names), tuple(suffixes), tuple(networks), everything)

    def names_host(self, name: str) -> bool:
        """Listed by its name. `*` names nobody: it is looked at once the addresses are known."""
        return name in self.names or name.endswith(self.suffixes)

    def has_address(self, address: Address) -> bool:
        return self.is_everything or any(address in network for network in self.networks)


class AddressGuard:
    """Forbidden unless allowed, by name or by address; the list of allowed hosts wins over every other."""

    __slots__ = ("_allowed", "_forbidden")

    def __init__(self, forbidden: Iterable[str] = (), allowed: Iterable[str] = ()) -> None:
        self._allowed = HostList.parse(allowed)
        self._forbidden = HostList.parse((*_FORBIDDEN, *forbidden))

    def check(self, host: str) -> None:
        """Refuse a host for its name, or for the address it spells; names go on to the resolver, then to `permits`."""
        address = literal(host)
        if address is None:
            name = _plain(host)
            if self._forbidden.names_host(name) and not (self._allowed.is_everything or self._allowed.names_host(name)):
                raise ForbiddenAddress("this host is forbidden")
        elif not self._permits_address(address):
            raise ForbiddenAddress("this address is forbidden")

    def permits(self, host: str, address: str) -> bool:
        """Whether `host`, which resolves to `address`, may be connected to there."""
        if self._allowed.names_host(_plain(host)):
            return True
        return self._permits_address(ip_address(address.partition("%")[0]))

    def _permits_address(self, address: Address) -> bool:
        return all(self._allowed.has_address(face) or not self._forbidden.has_address(face) for face in _faces(address))


def literal(host: str) -> Address | None:
    """The address that a host spells, None for a name.

    `0x7f.1`, `2130706433` and `0177.0.0.1` are addresses to some resolvers and names to others. They are refused, as is
    anything that is neither a name nor an address.
    """
    if ":" in host:
        try:
            return IPv6Address(host)
        except ValueError:
            raise ForbiddenAddress("this is no IPv6 address") from None
    if not _NAME.fullmatch(host.lower()):
        raise ForbiddenAddress("this is no host name")
    if not _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        return None
    try:
        return IPv4Address(host)
    except ValueError:
        raise ForbiddenAddress("an address is written as four decimal numbers") from None


def _faces(address: Address) -> tuple[Address, ...]:
    """The address, and every IPv4 address that a gateway on the way may take out of it."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    faces: list[Address] = [address]
    if address.sixtofour is not None:
        faces.append(address.sixtofour)
    if address.teredo is not None:
        faces.extend(address.teredo)
    last = IPv4Address(int(address) & 0xFFFFFFFF)
    is_isatap = int(address) >> 32 & 0xFDFFFFFF == 0x5EFE
    if is_isatap or any(address in network for network in (_NAT64, _V4_TRANSLATED)):
        faces.append(last)
    elif address in _NAT64_LOCAL:
        faces.extend((last, IPv4Address((int(address) >> 64 & 0xFFFF) << 16 | int(address) >> 40 & 0xFFFF)))
    elif address in _V4_COMPATIBLE and int(address) > 1:
        faces.append(last)
    return tuple(faces)


def _plain(host: str) -> str:
    return host.lower().rstrip(".")


def _network(text: str) -> Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None
