"""Urls that try to reach what a fetch must not reach: this machine, its neighbours on the link, the cloud's metadata."""
from __future__ import annotations

import socket

import pytest
from aiohttp.abc import AbstractResolver

from runtime.errors import FetchFailed
from runtime.outbound import Outbound, Request
from runtime.settings import RuntimeSettings


def urls(text: str) -> list[str]:
    return text.split()


LOOPBACK = urls("""
http://127.0.0.1/ http://127.0.0.1:22/ http://127.1.2.3/ http://127.255.255.254/ https://127.0.0.1:8443/x http://127.0.0.1./
http://127.1/ http://127.0.1/ http://2130706433/ http://2130706433:80/x http://0x7f000001/ http://0x7f.0.0.1/ http://0x7f.1/
http://0X7F.0X0.0X0.0X1/ http://0177.0.0.1/ http://017700000001/ http://0177.0x0.0.1/ http://00000177.0.0.1/ http://127.0.0.01/
http://127.00.0.1/ http://127.0.0.1.0/ http://1.2.3/ http://256.256.256.256/ http://0x/ http://foo.0x7f/ http://foo.1/
http://localhost/ http://LOCALHOST/ http://localhost./ http://foo.localhost/ http://%6c%6fcalhost/
http://0.0.0.0/ http://0.0.0.0:8080/ http://0/ http://0.1.2.3/ http://00.0.0.0/
http://[::1]/ http://[0:0:0:0:0:0:0:1]/ http://[0000::0001]:80/ http://[::]/ http://[0:0:0:0:0:0:0:0]/ http://[::1%25lo]/
http://[::ffff:127.0.0.1]/ http://[::ffff:7f00:1]/ http://[0:0:0:0:0:ffff:127.0.0.1]/ http://[::127.0.0.1]/ http://[::7f00:1]/
http://[64:ff9b::127.0.0.1]/ http://[64:ff9b::7f00:1]/ http://[64:ff9b:1::7f00:1]/ http://[64:ff9b:1:7f00:0:100::]/
http://[2002:7f00:1::]/ http://[2002:7f00:1::1]/ http://[::ffff:0:127.0.0.1]/ http://[2001:db8::5efe:127.0.0.1]/
http://[2001:0:7f00:1::]/ http://[2001:0:5ef5:79fd::80ff:fffe]/ http://[::ffff:0.0.0.0]/
http://①②⑦.⓪.⓪.①/ http://127。0。0。1/ http://１２７.0.0.1/ http://user:pw@127.0.0.1/ http://example.com@127.0.0.1/
http://127.0.0.1#@example.com/ http://127.0.0.1?@example.com/
""")

LINK_AND_METADATA = urls("""
http://169.254.169.254/latest/meta-data/ http://169.254.169.254:80/ http://169.254.0.1/ http://169.254.170.2/v2/credentials
http://2852039166/ http://0xa9fea9fe/ http://0xa9.0xfe.0xa9.0xfe/ http://0251.0376.0251.0376/ http://169.254.43518/ http://169.16689662/
http://[::ffff:169.254.169.254]/ http://[::ffff:a9fe:a9fe]/ http://[::169.254.169.254]/ http://[64:ff9b::a9fe:a9fe]/
http://[2002:a9fe:a9fe::]/ http://[fe80::1]/ http://[fe80::1%25eth0]/ http://[febf::1]/ http://[fec0::1]/
http://[fd00:ec2::254]/latest/ http://[fd20:ce::254]/ http://[fd00:c1::a9fe:a9fe]/ http://[fd00:42::42]/
http://100.100.100.200/latest/meta-data/ http://192.0.0.192/ http://168.63.129.16/ http://metadata.google.internal/computeMetadata/v1/
http://METADATA.google.internal./ http://metadata.goog/ http://metadata.attacker.test/ http://mixed-up.attacker.test/
http://224.0.0.1/ http://239.255.255.250:1900/ http://255.255.255.255/ http://240.0.0.1/ http://[ff02::1]/
""")

NOT_HTTP = urls("""
file:///etc/passwd ftp://127.0.0.1/ gopher://127.0.0.1:6379/_INFO dict://127.0.0.1:11211/stats unix:///run/docker.sock
data:text/plain,hello javascript:alert(1) jar:http://127.0.0.1!/ ws://127.0.0.1/ //127.0.0.1/ /etc/passwd 127.0.0.1 http:///etc/passwd
http:127.0.0.1 http:// http://a%00b/ http://a%2eb/ http://[::1 http://[::g]/ http://127.0.0.1:99999/ http://exa_mple..com/
""")

NAMES = {
    "localhost": ["127.0.0.1", "::1"], "foo.localhost": ["127.0.0.1"], "metadata.attacker.test": ["169.254.169.254"],
    "inside.attacker.test": ["10.0.0.9"],
    "mixed-up.attacker.test": ["::ffff:127.0.0.1", "fe80::1%eth0", "64:ff9b::a9fe:a9fe"],
}


class Names(AbstractResolver):
    """Answers like a name server under the control of an attacker."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[dict]:
        self.asked.append(host)
        addresses = NAMES.get(host.lower().rstrip("."))
        if addresses is None:
            raise OSError(f"{host} does not exist")
        return [{"hostname": host, "host": address, "port": port, "proto": 0, "flags": 0,
                 "family": socket.AF_INET6 if ":" in address else socket.AF_INET} for address in addresses]

    async def close(self) -> None:
        pass


TARGETS = [*LOOPBACK, *LINK_AND_METADATA, *NOT_HTTP, "http://127.0.0.1\t/", "http://\t127.0.0.1/", "http://127.0.0.1 /"]


def test_the_list_is_long_enough_to_mean_something() -> None:
    assert len(set(TARGETS)) >= 120


@pytest.fixture
async def outbound():
    door = Outbound(RuntimeSettings(fetch_timeout=2), resolver=Names())
    yield door
    await door.close()


@pytest.mark.parametrize("url", TARGETS)
async def test_what_must_not_be_reached_is_refused(outbound: Outbound, url: str) -> None:
    with pytest.raises(FetchFailed) as caught:
        await outbound.request(Request("GET", url, {}))
    # Refused by a rule, not because nobody happened to listen there.
    assert caught.value.message.startswith(("The request was refused", "Only http and https", "The url is not valid"))


INSIDE = urls("""
http://10.0.0.1/ http://10.255.255.255:8080/ http://192.168.1.1/ http://[::ffff:10.0.0.1]/ http://[64:ff9b::a00:1]/ http://[2002:a00:1::]/
http://[fd12:3456::1]/ http://db.corp.test/ http://DB.CORP.test./ http://inside.attacker.test/ http://secret.test/
""")


@pytest.mark.parametrize("url", INSIDE)
async def test_what_an_operator_forbids_is_refused_in_every_form(url: str) -> None:
    names = Names()
    door = Outbound(RuntimeSettings(fetch_timeout=2, fetch_forbidden_hosts=("10.0.0.0/8", "192.168.0.0/16", "fc00::/7", "*.corp.test", "secret.test")), resolver=names)
    try:
        with pytest.raises(FetchFailed) as caught:
            await door.request(Request("GET", url, {}))
    finally:
        await door.close()
    assert caught.value.message.startswith("The request was refused")
    assert names.asked in ([], ["inside.attacker.test"])   # a forbidden name is not even looked up


@pytest.mark.parametrize("url", ["http://127.0.0.2/", "http://[::1]/", "http://169.254.169.254/", "http://2130706433/", "http://foo.localhost/"])
async def test_an_allowed_host_opens_nothing_but_itself(url: str) -> None:
    door = Outbound(RuntimeSettings(fetch_timeout=2, fetch_allowed_hosts=("127.0.0.3", "good.localhost")), resolver=Names())
    try:
        with pytest.raises(FetchFailed, match="The request was refused"):
            await door.request(Request("GET", url, {}))
    finally:
        await door.close()
