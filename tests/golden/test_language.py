"""Every rule of the language, as a workspace, a call and its answer, on a real server."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cases import Player, all_cases
from server import RealServer


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[dict[str, Any]], Player]]:
    """A server for each set of settings, started when a case asks for it."""
    with ExitStack() as running:
        players: dict[str, Player] = {}

        def player(settings: dict[str, Any]) -> Player:
            key = repr(sorted(settings.items()))
            if key not in players:
                environment = {name: str(value) for name, value in settings.items()}
                server = running.enter_context(RealServer(tmp_path_factory.mktemp("data"), **environment))
                players[key] = Player(server.base, server.token)
            return players[key]
        yield player


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: f"{case['file']}-{case['name']}")
def test_the_language_does_what_its_cases_say(servers: Callable[[dict[str, Any]], Player], case: dict[str, Any]) -> None:
    servers(case.get("env") or {}).play(case)


def test_there_are_cases() -> None:
    assert len(all_cases()) > 300
    assert Path(__file__).with_name("language").is_dir()
