"""The disk is full: nothing is acknowledged that is not kept, everybody is told why, and it ends without a restart."""
from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from door import House, house

from store.embedded.sqlite import SqliteStore

WORKSPACE = """
name: Full
automations:
  keep: {when: {endpoint: true}, do: [{set: {name: 'global.k{{body.n}}', value: '{{body.text}}'}}], output: '{{body.n}}'}
  drop: {when: {endpoint: true}, do: [{delete: {name: 'global.k{{body.n}}'}}]}
  kept: {when: {endpoint: true}, do: [], output: '{{global}}'}
"""
TEXT = "x" * 40_000


async def readiness(h: House) -> tuple[int, str]:
    status, answer, _ = await h.request("GET", "/v2/readiness")
    return status, answer["checks"]["store"]


async def fill(h: House) -> int:
    """Write until it is refused; how many were acknowledged."""
    for n in range(500):
        status, answer, response = await h.call("keep", json={"n": n % 12, "text": f"{n}{TEXT}"})
        if status != 200:
            assert status == 503, answer
            assert answer["error"] == "ServiceUnavailable"
            assert answer["details"]["reason"] == "Full"
            assert int(response.headers["retry-after"]) >= 1
            return n
    raise AssertionError("the disk was never full")


async def holds(h: House, acknowledged: int) -> bool:
    status, answer, _ = await h.call("kept")
    assert status == 200, answer
    return all(answer[f"k{n % 12}"] == f"{n}{TEXT}" for n in range(max(0, acknowledged - 12), acknowledged))


async def works_again(h: House, acknowledged: int) -> None:
    assert await readiness(h) == (200, "ok")
    assert (await h.call("keep", json={"n": 20, "text": "afterwards"}))[0] == 200
    assert await holds(h, acknowledged)
    assert await readiness(h) == (200, "ok")


async def test_a_store_that_has_no_room_says_so_and_goes_on_once_it_has(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, max_bytes=2_000_000)
    async with house(WORKSPACE, on=store) as h:
        assert await readiness(h) == (200, "ok")
        acknowledged = await fill(h)
        assert acknowledged > 5
        for _ in range(2):
            assert await readiness(h) == (503, "failed")
        assert (await h.request("GET", "/sys/healthcheck"))[0] == 200
        await store.limit(1 << 30)
        await works_again(h, acknowledged)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """One of four megabytes."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(tmp_path)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("nothing may be mounted here")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


async def test_a_disk_that_is_full_is_no_end(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(2_000_000))
    async with house(WORKSPACE, on=SqliteStore(small_disk / "data")) as h:
        acknowledged = await fill(h)
        assert await readiness(h) == (503, "failed")
        (small_disk / "filler").unlink()
        await works_again(h, acknowledged)
