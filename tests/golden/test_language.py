"""Every rule of the language, as a workspace, a call and its answer, on a real server."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cases import Player, all_cases
from server import RealServer


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    with RealServer(tmp_path_factory.mktemp("data")) as server:
        yield Player(server.base, server.token)


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: f"{case['file']}-{case['name']}")
def test_the_language_does_what_its_cases_say(player: Player, case: dict[str, Any]) -> None:
    player.play(case)


def test_there_are_cases() -> None:
    assert len(all_cases()) > 300
    assert Path(__file__).with_name("language").is_dir()
