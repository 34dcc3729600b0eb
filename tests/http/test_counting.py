"""Many calls at once that count in one place."""
from __future__ import annotations

import asyncio
from pathlib import Path

from door import house

import store as stores

WORKSPACE = """
name: Counting
automations:
  count: {when: {endpoint: true}, do: [{set: {name: global.n, value: '{% ({{global.n}} or 0) + 1 %}'}}]}
  read: {when: {endpoint: true}, do: [], output: '{{global.n}}'}
"""


async def test_four_hundred_calls_at_once_count_to_four_hundred_and_a_restart_finds_it(tmp_path: Path) -> None:
    async with house(WORKSPACE, on=await stores.open(f"file:{tmp_path}")) as h:
        answers = await asyncio.gather(*(h.call("count") for _ in range(400)))
        assert {status for status, _, _ in answers} == {200}
        assert (await h.call("read"))[1] == 400
        id = h.id
    async with house(WORKSPACE, on=await stores.open(f"file:{tmp_path}")) as h:
        h.id = id
        assert (await h.call("read"))[1] == 400
