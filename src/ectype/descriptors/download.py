"""Fetching a file of known size. Nothing but an explicit request of the user leads here."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path

from ectype.errors import DownloadError

_BLOCK = 1 << 20
_SECONDS_WITHOUT_A_BYTE = 60


def download(url: str, file: Path, size: int, on_progress: Callable[[int], None] | None = None) -> None:
    """Write what lies at `url` into a file, block by block.

    Parameters
    ----------
    url : str
    file : Path
    size : int
        Bytes that there must be; no more are read.
    on_progress : callable, optional
        Called with the number of bytes written since the last call.

    Raises
    ------
    DownloadError
        No network, another answer than the file, or more or fewer bytes.
    OSError
        The disk refuses.
    """
    done = 0
    with open(file, "wb") as output:
        for block in _blocks(url):
            done += len(block)
            if done > size:
                break
            output.write(block)
            if on_progress is not None:
                on_progress(len(block))
    if done != size:
        found = "there are more" if done > size else f"it ended after {done:,}"
        raise DownloadError(f"{url}: the file should have {size:,} bytes, but {found}")


def _blocks(url: str) -> Iterator[bytes]:
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS_WITHOUT_A_BYTE) as answer:  # noqa: S310  # from our own table
            while block := answer.read(_BLOCK):
                yield block
    except (OSError, HTTPException) as error:
        raise DownloadError(f"{url}: can't be downloaded: {getattr(error, 'reason', None) or error}") from error
