"""Releases behind a web address: any server that hands out files will do."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Generator, Iterable
from http.client import HTTPException, HTTPResponse

from ectype.challenge.releases.places import BLOCK, ConnectionLostError, Place, Stream
from ectype.errors import DownloadError, UsageError

_SECONDS_WITHOUT_A_BYTE = 60.0
_WORTH_ANOTHER_TRY = {408, 425, 429, 500, 502, 503, 504}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")


class WebPlace(Place):
    """A folder of files behind ``http://`` or ``https://``, to be read only."""

    def read(self, name: str, start: int = 0) -> Stream:
        url = f"{self.address.rstrip('/')}/{name}"
        # Some servers compress what they send, and then count other bytes.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        request = urllib.request.Request(url, headers=headers)  # noqa: S310  # http and https alone come here
        try:
            answer: HTTPResponse = urllib.request.urlopen(request, timeout=_SECONDS_WITHOUT_A_BYTE)  # noqa: S310
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416 and start:  # the file is another one, and shorter
                return self.read(name)
            kind = ConnectionLostError if error.code in _WORTH_ANOTHER_TRY else DownloadError
            raise kind(f"{url}: the server answers {error.code} {error.reason}") from None
        except (OSError, HTTPException) as error:
            raise _lost(url, error) from error
        return Stream(_start_of(answer, start), _blocks(answer, url))

    def size(self, name: str) -> int | None:
        raise self._refuses()

    def write(self, name: str, blocks: Iterable[bytes]) -> None:
        raise self._refuses()

    def _refuses(self) -> UsageError:
        return UsageError(
            f"{self.address}: a web address can only be read; publish to a folder or s3:// that it serves"
        )


def _start_of(answer: HTTPResponse, asked: int) -> int:
    if answer.status != 206:
        return 0
    found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    return int(found[1]) if found else asked


def _blocks(answer: HTTPResponse, url: str) -> Generator[bytes, None, None]:
    try:
        with answer:
            # read1 gives what has arrived, so that nothing of it is lost when the connection is.
            while block := answer.read1(BLOCK):
                yield block
    except (OSError, HTTPException) as error:
        raise _lost(url, error) from error


def _lost(url: str, error: Exception) -> ConnectionLostError:
    return ConnectionLostError(
        f"{url}: can't be downloaded: {getattr(error, 'reason', None) or error or type(error).__name__}"
    )
