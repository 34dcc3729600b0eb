"""Archives made to harm: they are refused, quickly, and nothing of them is believed."""
from __future__ import annotations

import struct
import zlib
from io import BytesIO
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZipFile, ZipInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.catalog import archive
from runtime.catalog.archive import pack, unpack
from runtime.errors import AutomationsError, InvalidUpload


def zipped(*files: tuple[str | ZipInfo, bytes], method: int = ZIP_DEFLATED) -> bytes:
    buffer = BytesIO()
    with ZipFile(buffer, "w", method) as made:
        for name, content in files:
            made.writestr(name, content, method)
    return buffer.getvalue()


def entry(name: str, **fields: int) -> ZipInfo:
    info = ZipInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info


@pytest.mark.parametrize("name", [
    "../index.yml", "automations/../../x.yml", "/etc/passwd", "C:/x.yml", "automations\\..\\x.yml", "..", "automations/..", "a/..\\b.yml"])
def test_a_path_out_of_the_archive_is_refused(name: str) -> None:
    with pytest.raises(InvalidUpload):
        unpack(zipped(("index.yml", b"name: x"), (name, b"do: []")))


def test_a_link_is_refused() -> None:
    with pytest.raises(InvalidUpload, match="link"):
        unpack(zipped((entry("index.yml", external_attr=0o120777 << 16), b"/etc/passwd")))


def test_an_encrypted_file_is_refused() -> None:
    data = zipped(("index.yml", b"name: x"))
    central = data.index(b"PK\x01\x02") + 8
    with pytest.raises(InvalidUpload, match="encrypted"):
        unpack(data[:central] + b"\x01" + data[central + 1:])


def test_methods_that_need_much_memory_are_refused() -> None:
    with pytest.raises(InvalidUpload, match="deflate"):
        unpack(zipped(("index.yml", b"name: x"), method=ZIP_BZIP2))


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(InvalidUpload, match="larger"):
        unpack(zipped(("index.yml", b"a: " + b"x" * 4_000_000)))


def test_many_files_that_are_large_together_are_refused() -> None:
    noise = bytes(32 + (i * 7919 % 90) for i in range(2000))
    files = [(f"automations/a{i}.yml", b"# " + noise * 49) for i in range(archive.MAX_TOTAL_BYTES // 98_000 + 1)]
    with pytest.raises(InvalidUpload, match="unpacked"):
        unpack(zipped(*files))


def test_too_many_files_are_refused() -> None:
    with pytest.raises(InvalidUpload, match="files"):
        unpack(zipped(*((f"{i}.txt", b"") for i in range(archive.MAX_ENTRIES + 1))))


def test_a_size_that_lies_is_not_believed() -> None:
    """The header claims few bytes, the stream holds many."""
    content = zlib.compress(b"a: " + b"x" * 300_000, 9)[2:-4]
    name = b"index.yml"
    fields = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, 0, len(content), 10, len(name), 0)
    local = b"PK\x03\x04" + fields + name + content
    central = b"PK\x01\x02" + struct.pack("<H", 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
    with pytest.raises(InvalidUpload):
        unpack(local + central + end)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("index.yml", "index.yml"), ("index.yml", "index.yaml"), ("automations/a.yml", "automations/%61.yml")])
def test_the_same_part_twice_is_refused(names: tuple[str, str]) -> None:
    with pytest.raises(InvalidUpload, match="twice"):
        unpack(zipped(*((name, b"name: x") for name in names)))


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x05\x06", b"PK\x03\x04" + b"\x00" * 100, pack({"name": "x"})[:-30], b"name: x"])
def test_a_broken_archive_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidUpload):
        unpack(data)


def test_an_archive_with_nothing_of_ours_is_refused() -> None:
    with pytest.raises(InvalidUpload, match="no part"):
        unpack(zipped(("README.md", b"hello")))


WHOLE = pack({"name": "Shop", "slug": "shop", "automations": {f"a{i}": {"do": [], "name": "x" * i} for i in range(3)}})


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0, len(WHOLE)))
def test_whatever_bytes_are_turned_only_our_errors_come_out(turned: list[tuple[int, int]], length: int) -> None:
    data = bytearray(WHOLE)
    for at, value in turned:
        data[at] = value
    for damaged in (bytes(data), bytes(data[:length])):
        try:
            unpack(damaged)
        except AutomationsError:
            pass


def test_a_name_that_is_cut_off_to_nothing_is_refused() -> None:
    data = zipped(("index.yml", b"name: x"), ("?name.yml", b"do: []")).replace(b"?name.yml", b"\x00name.yml")
    with pytest.raises(InvalidUpload, match="leads out"):
        unpack(data)
