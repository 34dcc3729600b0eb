"""Workspaces as files: found, loaded, reloaded, and left alone when they are broken."""
from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from catalog_kit import Shop

from gateway.folder import Folder, read, scan
from runtime.testing import CountedIds, HandClock
from store.memory import MemoryStore
from store.protocol import Store

GREET = "name: Greet\nid: greet-1\nautomations:\n  hello:\n    do: []\n    output: hi\n"


class Site:
    """A folder that is served."""

    def __init__(self, root: Path, store: Store) -> None:
        self.root = root
        self.shop = Shop(store)
        self.folder = Folder(root, self.shop.catalog, HandClock(), CountedIds())

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def revisions(self) -> dict[str, int]:
        return {w.slug: w.revision for w in self.shop.catalog.all()}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    yield Site(tmp_path, MemoryStore())


async def test_a_file_is_a_workspace_with_the_id_it_asks_for(site: Site) -> None:
    site.write("greet.yml", GREET)
    await site.folder.refresh()
    workspace = site.shop.catalog.require("greet-1")
    assert (workspace.slug, workspace.name, workspace.owner) == ("greet", "Greet", "admin")


async def test_a_folder_is_laid_out_like_an_archive(site: Site) -> None:
    site.write("shop/index.yml", "name: Shop\nconfig: {value: {a: 1}}\n")
    site.write("shop/automations/buy.yml", "do: []\noutput: bought\n")
    site.write("shop/automations/deep/sell.yml", "do: []\noutput: sold\n")
    site.write("shop/README.md", "nothing of ours")
    await site.folder.refresh()
    workspace = site.shop.catalog.by_slug("shop")
    assert workspace is not None and set(workspace.automations) == {"buy", "deep/sell"}


async def test_a_folder_with_an_index_is_itself_the_workspace(site: Site) -> None:
    site.write("index.yml", "name: Only\nautomations: {a: {do: []}}\n")
    site.write("automations/b.yml", "do: []\n")
    assert list(scan(site.root)) == [site.root]
    await site.folder.refresh()
    assert [set(w.automations) for w in site.shop.catalog.all()] == [{"a", "b"}]


async def test_a_file_without_name_is_called_like_its_file(site: Site) -> None:
    source = read(site.write("My Orders.yml", "automations: {}\n"))
    assert (source.data["name"], source.data["slug"]) == ("My Orders", "my-orders")


async def test_other_yaml_files_are_left_alone(site: Site) -> None:
    site.write("compose.yml", "services: {}\n")
    site.write(".hidden.yml", GREET)
    await site.folder.refresh()
    assert site.revisions() == {}


async def test_a_changed_file_becomes_the_next_revision_and_an_unchanged_one_does_not(site: Site) -> None:
    path = site.write("greet.yml", GREET)
    site.write("other.yml", "automations: {a: {do: []}}\n")
    await site.folder.refresh()
    await site.folder.refresh()
    assert site.revisions() == {"greet": 1, "other": 1}
    path.write_text(GREET.replace("hi", "hello there"))
    await site.folder.refresh()
    assert site.revisions() == {"greet": 2, "other": 1}


async def test_a_restart_keeps_ids_and_makes_no_revision(tmp_path: Path) -> None:
    store = MemoryStore()
    first = Site(tmp_path, store)
    first.write("nameless.yml", "automations: {a: {do: []}}\n")
    await first.folder.refresh()
    [before] = first.shop.catalog.all()
    again = Site(tmp_path, store)
    await again.shop.catalog.load()
    await again.folder.refresh()
    [after] = again.shop.catalog.all()
    assert (after.id, after.revision) == (before.id, 1)


async def test_a_broken_file_is_reported_with_its_place_and_the_running_version_stays(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    path = site.write("greet.yml", GREET)
    await site.folder.refresh()
    for text, place in ((GREET.replace("do: []", "do: 7"), "greet.yml:5:"), ("automations: [", "greet.yml:2:")):
        path.write_text(text)
        caplog.clear()
        with caplog.at_level(logging.ERROR):
            await site.folder.refresh()
        assert place in caplog.text
    assert site.revisions() == {"greet": 1}
    path.write_text(GREET + "    private: true\n")
    await site.folder.refresh()
    assert site.revisions() == {"greet": 2}


async def test_a_broken_part_of_a_folder_is_named(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.write("shop/index.yml", "name: Shop\n")
    site.write("shop/automations/buy.yml", "do: {}\n")
    with caplog.at_level(logging.ERROR):
        await site.folder.refresh()
    assert "shop/automations/buy.yml:1:" in caplog.text and site.revisions() == {}


async def test_one_broken_file_does_not_keep_the_others_from_being_served(site: Site) -> None:
    site.write("a.yml", "automations: [")
    site.write("greet.yml", GREET)
    await site.folder.refresh()
    assert site.revisions() == {"greet": 1}


async def test_two_files_of_one_workspace_do_not_fight(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.write("greet.yml", GREET)
    site.write("other.yml", GREET.replace("hi", "bye"))
    with caplog.at_level(logging.ERROR):
        await site.folder.refresh()
        await site.folder.refresh()
    assert site.revisions() == {"greet": 1} and "same workspace" in caplog.text


async def test_a_file_that_is_deleted_leaves_its_workspace(site: Site) -> None:
    path = site.write("greet.yml", GREET)
    await site.folder.refresh()
    path.unlink()
    await site.folder.refresh()
    assert site.revisions() == {"greet": 1}
