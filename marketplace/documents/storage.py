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
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
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


class BucketStore:
    """Objects in one bucket, with short time limits and few retries: a person is waiting."""

    def __init__(self, settings: Settings) -> None:
        self._bucket = settings.s3_bucket
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=settings.s3_endpoint_url,
            region_name=settings.s3_region,
            aws_access_key_id=settings.s3_access_key,
            aws_secret_access_key=settings.s3_secret_key,
            config=Config(
                connect_timeout=3,
                read_timeout=10,
                retries={"total_max_attempts": 2, "mode": "standard"},
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def put(self, key: str, content: bytes, content_type: str) -> None:
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=content, ContentType=content_type)
        except (BotoCoreError, ClientError) as error:
            raise StoreFailure from error

    def get(self, key: str) -> bytes:
        try:
            body: bytes = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except (BotoCoreError, ClientError) as error:
            raise StoreFailure from error
        return body

    def remove(self, key: str) -> None:
        try:
            self._client.delete_object(Bucket=self._bucket, Key=key)
        except (BotoCoreError, ClientError) as error:
            raise StoreFailure from error


Store = FolderStore | BucketStore


@lru_cache(maxsize=8)
def store_of(settings: Settings) -> Store:
    """The store that the settings name; the client is made once, it is safe for threads."""
    return BucketStore(settings) if settings.s3_bucket else FolderStore(settings.state_folder / "files")


def current_store() -> Store:
    """The store of the running application."""
    return store_of(current_app.config["SETTINGS"])
