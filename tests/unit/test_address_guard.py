from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.outbound.address_guard import AddressGuard, ForbiddenAddress, literal


def test_private_networks_are_open_until_an_operator_closes_them() -> None:
    AddressGuard().check("10.0.0.7")
    with pytest.raises(ForbiddenAddress):
        AddressGuard(["10.0.0.0/8"]).check("10.0.0.7")


def test_an_allowed_address_wins_over_the_forbidden_networks() -> None:
    guard = AddressGuard(["127.0.0.1"], ["127.0.0.1", "fd00::/8"])
    guard.check("127.0.0.1")
    guard.check("::ffff:127.0.0.1")
    guard.check("fd00:ec2::254")
    with pytest.raises(ForbiddenAddress):
        guard.check("127.0.0.2")


def test_an_allowed_name_may_lead_anywhere() -> None:
    guard = AddressGuard([], ["db.internal", "*.svc.internal"])
    assert guard.permits("DB.internal.", "127.0.0.1")
    assert guard.permits("a.b.svc.internal", "169.254.1.1")
    assert not guard.permits("svc.internal", "127.0.0.1")
    assert not guard.permits("evil-db.internal", "127.0.0.1")
    assert not guard.permits("xsvc.internal", "127.0.0.1")


def test_a_forbidden_name_is_refused_before_it_is_resolved() -> None:
    guard = AddressGuard(["evil.example", "*.ads.example"], ["good.ads.example"])
    guard.check("good.ads.example")
    for name in ("evil.example", "EVIL.example.", "x.ads.example"):
        with pytest.raises(ForbiddenAddress):
            guard.check(name)


def test_everything_forbidden_leaves_what_is_allowed() -> None:
    guard = AddressGuard(["*"], ["api.example", "192.0.2.0/24"])
    guard.check("api.example")
    guard.check("unknown.example")
    assert guard.permits("api.example", "198.51.100.1")
    assert guard.permits("unknown.example", "192.0.2.9")
    assert not guard.permits("unknown.example", "198.51.100.1")


def test_everything_allowed_opens_even_the_metadata() -> None:
    guard = AddressGuard(["evil.example"], ["*"])
    guard.check("metadata.google.internal")
    guard.check("evil.example")
    assert guard.permits("x", "169.254.169.254")


@settings(max_examples=60)
@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_in_every_form_that_carries_it(address: IPv4Address) -> None:
    guard, number = AddressGuard(), int(address)
    permitted = guard.permits("name", str(address))
    assert guard.permits("name", f"::ffff:{address}") == permitted
    carriers = (IPv6Address((0x64FF9B << 96) | number), IPv6Address((0x2002 << 112) | number << 80),
                IPv6Address((0x20010DB8 << 96) | (0x5EFE << 32) | number))
    assert permitted or not any(guard.permits("name", str(carrier)) for carrier in carriers)


@settings(max_examples=60)
@given(st.text(max_size=30))
def test_a_host_is_a_name_an_address_or_refused(host: str) -> None:
    try:
        address = literal(host)
    except ForbiddenAddress:
        return
    assert address is None or str(address) == host or ":" in host
