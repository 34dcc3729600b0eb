"""The commands `backup` and `restore`: a store of one folder as one file. The keys beside it are no part of that file."""
from __future__ import annotations

import sys
from pathlib import Path

from gateway import keys
from store.embedded import copies
from store.errors import StoreError

_OK, _PROBLEMS = 0, 1


def backup(storage_url: str, file: Path, *, force: bool) -> int:
    """Copy the store into `file`; the exit status."""
    try:
        size = copies.copy(_folder(storage_url), file, replace=force)
    except (StoreError, OSError) as error:
        return _refused(error)
    print(f"{file}: {size:,} bytes, complete and checked")
    return _OK


def restore(storage_url: str, file: Path, *, force: bool) -> int:
    """Put the store that `file` holds into its place; the exit status."""
    try:
        folder = _folder(storage_url)
        copies.put(file, folder, replace=force)
    except (StoreError, OSError) as error:
        return _refused(error)
    print(f"{folder}: restored from {file}")
    return _OK


def _folder(storage_url: str) -> Path:
    folder = keys.data_folder(storage_url)
    if folder is None:
        raise StoreError("only a store in a folder (STORAGE_URL=file:PATH) is copied by this command; a database server has tools of its own")
    return folder


def _refused(error: Exception) -> int:
    print(f"motorik: {error}", file=sys.stderr)
    return _PROBLEMS
