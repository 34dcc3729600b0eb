"""Definitions on paper: one YAML document, or a zip with a file for each part. What comes in is not trusted, and never touches the disk.

An archive holds `index.yml` (every root section), `security.yml`, and `automations/`, `imports/` and `pages/` with one
file for each member. One folder around all of it is fine; other files are ignored.
"""
from __future__ import annotations

import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import quote, unquote

import yaml

from runtime.catalog.definitions import KEYED, Definition
from runtime.errors import InvalidAutomation, InvalidUpload
from runtime.language.loader import MAX_BYTES as MAX_DOCUMENT_BYTES
from runtime.language.loader import load
from runtime.language.source import Mark, Path, Source

try:
    from yaml import CSafeDumper as _BaseDumper
except ImportError:                                     # a PyYAML built without libyaml
    from yaml import SafeDumper as _BaseDumper  # type: ignore[assignment]

MAX_ENTRIES = 20_000
MAX_TOTAL_BYTES = 50_000_000
MAX_RATIO = 200
"""Text shrinks to a tenth, repetitive text to a hundredth; what shrinks more was made to fill a memory."""
_HEADROOM = 100_000
"""Bytes that any file may have, however well it was compressed."""
_SUFFIXES = (".yml", ".yaml")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ESCAPES = re.compile(r"(?:^|/)\.\.(?:/|$)|^/|^[A-Za-z]:|\\|\x00")
_NEXT_1_2 = re.compile(r"[-+]?(?:0o[0-7]+|0x[0-9a-fA-F]+|(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)$")


@dataclass(frozen=True, slots=True)
class Archive(Source):
    """The definition that an archive holds; each part has its place in a file of its own."""

    parts: dict[Path, Source] = field(default_factory=dict, repr=False)

    @property
    def is_whole(self) -> bool:
        """False without an index: some parts of a workspace, to be put over those it has."""
        return () in self.parts

    def at(self, path: Path, key: bool = False) -> Mark:
        for length in (2, 1, 0):
            part = self.parts.get(path[:length])
            if part is not None:
                return part.at(path[length:], key and len(path) > length)
        return Mark(self.name)


def to_yaml(value: Any) -> bytes:
    """One document that reads back as `value`, by the rules of YAML 1.2 as well as 1.1."""
    text: bytes = yaml.dump(value, Dumper=_Dumper, encoding="utf-8", allow_unicode=True, sort_keys=False, width=120)
    return text


def pack(definition: Definition) -> bytes:
    """The definition as an archive."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, document in _files(definition):
            # A fixed date: the same definition makes the same bytes.
            archive.writestr(zipfile.ZipInfo(name), to_yaml(document), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def unpack(data: bytes, *, name: str = "archive") -> Archive:
    """Read an archive. Raises `InvalidUpload` for one that is broken, too large or hostile, `InvalidAutomation` with every
    file that is no YAML."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            texts = dict(_texts(archive))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError) as error:
        raise InvalidUpload(f"This is no zip archive: {error}") from None
    if not texts:
        raise InvalidUpload("The archive holds no part of a workspace: neither index.yml nor files in automations/")
    return _assembled(name, texts)


def _files(definition: Definition) -> Iterator[tuple[str, Any]]:
    # A section without members has no file of its own, but is there.
    yield "index.yml", {key: value for key, value in definition.items() if key != "security" and (key not in KEYED or not value)}
    if "security" in definition:
        yield "security.yml", definition["security"]
    for section in KEYED:
        for slug, member in (definition.get(section) or {}).items():
            yield f"{section}/{quote(slug, safe='/ ')}.yml", {"slug": slug, **member}


def _texts(archive: zipfile.ZipFile) -> Iterator[tuple[Path, bytes]]:
    """The files that belong to a definition, by the path of what they hold, with every limit kept while they are read."""
    entries = [entry for entry in archive.infolist() if not entry.filename.endswith("/")]
    if len(entries) > MAX_ENTRIES:
        raise InvalidUpload(f"An archive has at most {MAX_ENTRIES} files", {"limit": MAX_ENTRIES})
    prefix = _common_folder([entry.filename for entry in entries])
    seen: set[Path] = set()
    total = 0
    for entry in entries:
        _refuse_hostile(entry)
        path = place_of(entry.filename.removeprefix(prefix))
        if path is None:
            continue
        if path in seen:
            raise InvalidUpload(f"{entry.filename} is in the archive twice")
        seen.add(path)
        text = _read(archive, entry)
        total += len(text)
        if total > MAX_TOTAL_BYTES:
            raise InvalidUpload(f"An unpacked archive has at most {MAX_TOTAL_BYTES} bytes", {"limit": MAX_TOTAL_BYTES})
        yield path, text


def _refuse_hostile(entry: zipfile.ZipInfo) -> None:
    if _ESCAPES.search(entry.orig_filename) or _ESCAPES.search(entry.filename):
        raise InvalidUpload(f"{entry.filename!r} leads out of the archive")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise InvalidUpload(f"{entry.filename} is a link")
    if entry.flag_bits & 1:
        raise InvalidUpload(f"{entry.filename} is encrypted")
    if entry.compress_type not in _METHODS:
        raise InvalidUpload(f"{entry.filename} is compressed by a method other than deflate")


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The content, never trusting the size that the entry claims."""
    limit = min(MAX_DOCUMENT_BYTES, max(_HEADROOM, entry.compress_size * MAX_RATIO))
    with archive.open(entry) as file:
        text = file.read(limit + 1)
    if len(text) > limit:
        raise InvalidUpload(f"{entry.filename} is larger than {limit} bytes", {"limit": limit})
    return text


def _common_folder(names: list[str]) -> str:
    """`folder/` when the index lies in one; archives are often made of a folder instead of its content."""
    if any(name in ("index.yml", "index.yaml") for name in names):
        return ""
    inside = [name for name in names if re.fullmatch(r"[^/]+/index\.ya?ml", name)]
    return inside[0].partition("/")[0] + "/" if len(inside) == 1 else ""


def place_of(name: str) -> Path | None:
    """What a file of this name holds: () for the index, ("security",), ("automations", "greet"); None for nothing of ours."""
    stem = next((name[:-len(suffix)] for suffix in _SUFFIXES if name.endswith(suffix)), None)
    if stem == "index":
        return ()
    if stem == "security":
        return ("security",)
    folder, _, slug = (stem or "").partition("/")
    return (folder, unquote(slug)) if folder in KEYED and slug else None


def _assembled(name: str, texts: dict[Path, bytes]) -> Archive:
    """Every file parsed, and the documents put together."""
    parts: dict[Path, Source] = {}
    problems: list[Any] = []
    for path, text in texts.items():
        try:
            parts[path] = load(text, name=_file_name(path))
        except InvalidAutomation as error:
            problems += error.details if isinstance(error.details, list) else [error.body()]
    if problems:
        raise InvalidAutomation(f"{len(problems)} files of the archive are no YAML documents", problems)
    return assemble(name, parts)


def assemble(name: str, parts: dict[Path, Source]) -> Archive:
    """One definition from the documents of its parts, in their order."""
    root = parts[()].data if () in parts else {}
    if not isinstance(root, dict):
        return Archive(root, name, parts=parts)
    sections: Definition = {section: dict(members) for section in KEYED if isinstance(members := root.get(section), dict)}
    for path, part in parts.items():
        if len(path) == 2:
            sections.setdefault(str(path[0]), {})[path[1]] = part.data
        elif path:
            sections[str(path[0])] = part.data
    return Archive({**root, **sections}, name, parts=parts)


def _file_name(path: Path) -> str:
    return "/".join(map(str, path)) + ".yml" if path else "index.yml"


class _Dumper(_BaseDumper):
    """Quotes whatever either version of YAML takes for something else than text, and writes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_UNREADABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters that a document holds as escapes only."""
_UNLIKE_A_BLOCK = re.compile(r"[^\S\n]\n|\t|^\s")


def _text(dumper: Any, value: str) -> Any:
    """Several lines as a block, where they can be read best."""
    style = None
    if _UNREADABLE.search(value):
        style = '"'
    elif "\n" in value and not _UNLIKE_A_BLOCK.search(value):
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _NEXT_1_2, list("-+.0123456789"))
