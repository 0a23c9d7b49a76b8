"""Releases in a bucket of S3, or of anything that speaks its language, by way of fsspec and s3fs."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable
from threading import Thread
from typing import Any

from ectype.challenge.releases.places import ConnectionLostError, Place, Stream
from ectype.errors import DownloadError, EctypeError, MissingPackageError, StorageError

_RANGE = 8 << 20
_PART = 16 << 20
"""Of an upload; at most 10,000 parts are allowed, which is 160 GB a file."""

_WHAT_TO_DO = (
    "credentials and endpoint are taken from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL or ~/.aws; "
    "a public bucket can be fetched from by its https:// address"
)


class BucketPlace(Place):
    """``s3://bucket/prefix``."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        file_system = _file_system_class()
        # A loop of its own, so that no thread is left running when the place is closed.
        loop = asyncio.new_event_loop()
        thread = Thread(target=loop.run_forever, name="ectype-bucket", daemon=True)
        thread.start()
        self._open.callback(_stop, loop, thread)
        self._files = file_system(loop=loop, skip_instance_cache=True, use_listings_cache=False)
        self._open.callback(_close_session, self._files, loop)
        self._prefix = address.removeprefix("s3://").strip("/")

    def read(self, name: str, start: int = 0) -> Stream:
        path = self._path(name)
        size = self._size(path)
        if size is None:
            raise DownloadError(f"s3://{path}: there is no such file")
        return Stream(start, self._ranges(path, start, size))

    def _ranges(self, path: str, start: int, size: int) -> Generator[bytes, None, None]:
        for first in range(start, size, _RANGE):
            try:
                yield self._files.cat_file(path, start=first, end=min(first + _RANGE, size))
            except Exception as error:  # of fsspec, s3fs, botocore, aiohttp or asyncio
                raise ConnectionLostError(f"s3://{path}: can't be read: {_words(error)}") from error

    def size(self, name: str) -> int | None:
        try:
            return self._size(self._path(name))
        except DownloadError as error:
            raise StorageError(str(error)) from error

    def _size(self, path: str) -> int | None:
        from botocore.exceptions import NoCredentialsError

        try:
            return int(self._files.info(path, refresh=True)["size"])
        except FileNotFoundError:
            return None
        except (PermissionError, NoCredentialsError) as error:
            raise DownloadError(f"s3://{path}: {_words(error)}; {_WHAT_TO_DO}") from error
        except Exception as error:
            raise ConnectionLostError(f"s3://{path}: {_words(error)}; {_WHAT_TO_DO}") from error

    def write(self, name: str, blocks: Iterable[bytes]) -> None:
        path = self._path(name)
        try:
            file = self._files.open(path, "wb", block_size=_PART, autocommit=False)
            try:
                for block in blocks:
                    file.write(block)
                file.close()
                file.commit()
            except BaseException:
                file.closed = True  # or it would be uploaded when it is forgotten
                file.discard()
                raise
        except EctypeError:
            raise
        except Exception as error:
            raise StorageError(f"s3://{path}: can't be written: {_words(error)}; {_WHAT_TO_DO}") from error

    def _path(self, name: str) -> str:
        return f"{self._prefix}/{name}"


def _file_system_class() -> Any:
    try:
        from s3fs import S3FileSystem
    except ImportError as error:
        raise MissingPackageError("s3:// needs the package s3fs: pip install 'ectype[releases]'") from error
    return S3FileSystem


def _close_session(files: Any, loop: asyncio.AbstractEventLoop) -> None:
    client = getattr(files, "_s3creator", None)  # s3fs itself would close it when it is forgotten, which is too late
    if client is not None:
        asyncio.run_coroutine_threadsafe(client.__aexit__(None, None, None), loop).result()


def _stop(loop: asyncio.AbstractEventLoop, thread: Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
