"""Secrets where several nodes share a store: heard of at once, changed by two without a loss, and sealed with keys that change."""
from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kit import ALICE, endpoint
from nodes_kit import Nodes, nodes

from gateway.config import BadSettings, Settings
from gateway.keys import agree, load
from runtime.calls import Origin
from runtime.catalog.secrets import SecretEdits
from runtime.secrets import COLLECTION, NoKey, Secret, SecretBook, Vault
from runtime.testing import CountedIds

READ = {"read": endpoint(output="{{secret.a}} {{secret.b}}")}
KEY, OTHER = b"a key of the tests", b"another key of them"


def unlock(at: Nodes) -> list[SecretEdits]:
    for box in at.boxes:
        box.engine.catalog.secrets.unlock(Vault((KEY,), box.ids))
    return [SecretEdits(box.engine.catalog) for box in at.boxes]


def put(**values: str) -> Any:
    return lambda present: {**present, **{name: Secret(value, None, 1) for name, value in values.items()}}


async def test_a_secret_given_on_one_node_is_read_on_the_other_when_it_is_acknowledged() -> None:
    async with nodes(READ) as at:
        first, _ = unlock(at)
        await first.change(at[1].id, put(a="one", b="two"), Origin("c-1", ALICE))
        assert await at[2].call("read") == "one two"


async def test_two_nodes_that_change_secrets_at_the_same_time_lose_none() -> None:
    async with nodes(READ) as at:
        first, second = unlock(at)
        id = at[1].id
        await asyncio.gather(*(node.change(id, put(**{f"{name}{count}": "x"}), Origin(f"c-{name}{count}", ALICE))
                               for count in range(4) for name, node in (("a", first), ("b", second))))
        await at.settle()
        names = {f"{name}{count}" for name in "ab" for count in range(4)}
        assert all(set(box.engine.catalog.secrets.of(id)) == names for box in at.boxes)
        assert len(await at[1].store.items(COLLECTION, "", 0)) == 1


async def test_a_secret_opens_in_its_place_alone_and_with_any_of_the_keys() -> None:
    ids = CountedIds()
    old, both, other = Vault((KEY,), ids), Vault((OTHER, KEY), ids), Vault((OTHER,), ids)
    sealed = old.seal("täxt\n", ("w", "name"))
    assert old.open(sealed, ("w", "name")) == both.open(sealed, ("w", "name")) == "täxt\n"
    assert other.open(sealed, ("w", "name")) is old.open(sealed, ("w", "else")) is old.open(sealed, ("v", "name")) is None
    assert other.open(both.seal("x", ("w", "n")), ("w", "n")) == "x" and old.seal("x", ("w", "n")) != old.seal("x", ("w", "n"))
    with pytest.raises(NoKey):
        Vault((), ids).seal("x", ("w", "n"))


async def test_what_cannot_be_read_survives_a_change_of_the_others() -> None:
    ids = CountedIds()
    books = [SecretBook() for _ in range(3)]
    for book, keys in zip(books, ((KEY,), (OTHER,), (OTHER, KEY))):
        book.unlock(Vault(keys, ids))
    item, _ = books[0].next("w", {"old": Secret("kept", "d", 1)})
    books[1].take(item)
    assert books[1].values("w") == {} and books[1].of("w")["old"].value is None
    item, ended = books[1].next("w", {**books[1].of("w"), "new": Secret("n", None, 2)})
    assert ended and item.is_first
    books[2].take(item)
    assert books[2].values("w") == {"old": "kept", "new": "n"} and books[2].take(item) is None


async def test_the_key_lies_beside_the_data_and_goes_on_opening_when_another_is_given(tmp_path: Any) -> None:
    settings = Settings.from_environment({"STORAGE_URL": f"file:{tmp_path}"})
    [made] = load(settings, CountedIds()).secrets
    assert (tmp_path / "secrets-key").stat().st_mode & 0o777 == 0o600 and load(settings, CountedIds(50)).secrets == (made,)
    given = Settings.from_environment({"STORAGE_URL": f"file:{tmp_path}", "SECRETS_KEY": "x" * 16 + ", " + "y" * 16})
    assert load(given, CountedIds()).secrets == (b"x" * 16, b"y" * 16, made)


async def test_nodes_of_one_store_keep_their_key_out_of_it() -> None:
    async with nodes(READ, 1) as at:
        cluster = at.store(1).cluster
        assert (await agree(Settings.from_environment({}), CountedIds(), cluster)).secrets == ()
        one, other = [(await agree(Settings.from_environment({"JWT_SECRET": "s" * 40}), CountedIds(i), cluster)).secrets for i in (1, 9)]
        assert one == other and len(one) == 1 and b"s" * 40 != one[0]
        given = await agree(Settings.from_environment({"SECRETS_KEY": "k" * 16}), CountedIds(), cluster)
        assert given.secrets == (b"k" * 16,)


def test_a_key_that_is_too_short_is_refused_without_being_shown() -> None:
    with pytest.raises(BadSettings) as refusal:
        Settings.from_environment({"SECRETS_KEY": "short-one"})
    assert "SECRETS_KEY" in str(refusal.value) and "short-one" not in str(refusal.value)
