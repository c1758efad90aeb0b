"""Where the bytes of documents stand: an S3-compatible store when one is set, else a folder of our own.

Both have `put`, `get` and `remove`. Keys are made by the server and hold the hash of the content, so a repeated
`put` writes the same bytes. Calls may take seconds: never inside a transaction.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from flask import current_app

from marketplace.config import Settings
from marketplace.errors import UpstreamFailure

_KEY = re.compile(r"[a-z]+(?:/[0-9a-zA-Z._-]+){1,4}")


class StoreFailure(UpstreamFailure):
    slug = "store-unavailable"
    title = "文件存储没有正常答复，请稍后重试"


class FolderStore:
    """Files below one folder; written beside and renamed, so that a reader never sees a half."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key) or ".." in key:
            raise ValueError(f"not a storage key: {key!r}")
        return self._folder / key

    def put(self, key: str, content: bytes, content_type: str) -> None:
        path = self._path(key)
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with beside.open("xb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            beside.replace(path)
        except OSError as error:
            with suppress(OSError):
                beside.unlink()
            raise StoreFailure from error

    def get(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except OSError as error:
            raise StoreFailure from error

    def remove(self, key: str) -> None:
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            raise StoreFailure from error


class Store(Protocol):
    """Where the bytes of documents lie; each method raises StoreFailure (`store-unavailable`)."""

    def put(self, key: str, content: bytes, content_type: str) -> None: ...

    def get(self, key: str) -> bytes: ...

    def remove(self, key: str) -> None: ...


@lru_cache(maxsize=8)
def store_of(settings: Settings) -> Store:
    """The store that the settings name; the client is made once, it is safe for threads."""
    if not settings.s3_bucket:
        return FolderStore(settings.state_folder / "files")
    # Its client library takes long to load, and few installations have a bucket.
    from marketplace.documents.bucket import BucketStore

    return BucketStore(settings)


def current_store() -> Store:
    """The store of the running application."""
    return store_of(current_app.config["SETTINGS"])
