"""Encryption of the pieces of a sealed release, chunk by chunk.

A piece is encrypted by the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, "Online
Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance" (CRYPTO 2015), over AES-256-GCM: every chunk of a
mebibyte has the nonce prefix ‖ number of the chunk ‖ whether it is the last, so that chunks can't be cut off, added,
exchanged or repeated, and each can be read alone. Key and prefix of a piece are derived by HKDF-SHA256 (RFC 5869) from
the release's key and a random salt in front of the piece, so that no nonce is used twice, even if a piece is sealed
again. The piece's number and the number of pieces are associated data of every chunk, so pieces can't change places.
"""

from __future__ import annotations

import importlib
import os
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

from ectype.challenge.releases.secrets import Key
from ectype.errors import ChallengeError, MissingPackageError

CHUNK = 1 << 20
_TAG = 16
_MAGIC = b"ectype-sealed-1\n"
_SALT = 32
_HEAD = len(_MAGIC) + _SALT
_INFO = b"ectype sealed release, piece"


@dataclass(frozen=True, slots=True)
class PieceNumber:
    """Which of how many pieces one is."""

    index: int
    count: int

    def to_bytes(self) -> bytes:
        """As associated data."""
        return struct.pack(">QQ", self.index, self.count)


def sealed_size(plain: int) -> int:
    """Bytes of a piece that has `plain` bytes in it."""
    return _HEAD + plain + _TAG * -(-plain // CHUNK)


def plain_size(sealed: int) -> int:
    """Bytes that are in a piece of this size.

    Raises
    ------
    ChallengeError
        No piece has this size.
    """
    body = sealed - _HEAD
    plain = body - _TAG * -(-body // (CHUNK + _TAG))
    if plain <= 0 or sealed_size(plain) != sealed:
        raise ChallengeError(f"no sealed file has {sealed:,} bytes")
    return plain


def seal_piece(chunks: Iterable[bytes], key: Key, number: PieceNumber) -> Iterator[bytes]:
    """Encrypt a piece.

    Parameters
    ----------
    chunks : iterable of bytes
        Of `CHUNK` bytes each, except for the last.
    key : Key
    number : PieceNumber

    Yields
    ------
    bytes
        The sealed piece, in order.

    Raises
    ------
    MissingPackageError
        cryptography is not installed.
    """
    salt = os.urandom(_SALT)
    cipher = _Cipher(key, salt, number)
    yield _MAGIC + salt
    held: bytes | None = None
    count = 0
    for chunk in chunks:
        if held is not None:
            yield cipher.encrypt(held, count, last=False)
            count += 1
        held = chunk
    if held is not None:
        yield cipher.encrypt(held, count, last=True)


class SealedStream:
    """The bytes that several pieces hold together, to be read from anywhere.

    Parameters
    ----------
    pieces : sequence of Path
        In their order.
    key : Key

    Raises
    ------
    ChallengeError
        A piece is missing or has an impossible size.
    MissingPackageError
        cryptography is not installed.
    """

    def __init__(self, pieces: Sequence[Path], key: Key) -> None:
        self.pieces, self.key = tuple(pieces), key
        try:
            self.sizes = tuple(plain_size(path.stat().st_size) for path in pieces)
        except OSError as error:
            raise ChallengeError(f"{error.filename}: a piece is missing; fetch the release again") from None
        self.starts = (0, *accumulate(self.sizes))
        _check_package()

    @property
    def size(self) -> int:
        """Bytes in all pieces together."""
        return self.starts[-1]

    def reader(self, start: int) -> SealedReader:
        """Read from a byte on; a context manager."""
        return SealedReader(self, start)


class SealedReader:
    """Reads a `SealedStream` from a byte on, a chunk in memory at a time."""

    def __init__(self, stream: SealedStream, start: int) -> None:
        self._stream, self._position = stream, start
        self._piece: _OpenPiece | None = None
        self._chunk, self._chunk_start = b"", 0

    def __enter__(self) -> SealedReader:
        return self

    def __exit__(self, *_: object) -> None:
        if self._piece is not None:
            self._piece.file.close()

    def read(self, size: int, /) -> bytes:
        """`size` bytes, or what is left of them.

        Raises
        ------
        ChallengeError
            A piece is damaged or was changed. Nothing that was not authenticated is ever returned.
        """
        parts = []
        while size and self._position < self._stream.size:
            offset = self._position - self._chunk_start
            if not 0 <= offset < len(self._chunk):
                self._load()
                continue
            part = self._chunk[offset : offset + size]
            parts.append(part)
            self._position += len(part)
            size -= len(part)
        return b"".join(parts)

    def _load(self) -> None:
        index = bisect_right(self._stream.starts, self._position) - 1
        if self._piece is None or self._piece.index != index:
            self.__exit__()
            self._piece = _OpenPiece(self._stream, index)
        number = (self._position - self._stream.starts[index]) // CHUNK
        self._chunk = self._piece.chunk(number)
        self._chunk_start = self._stream.starts[index] + number * CHUNK


class _OpenPiece:
    def __init__(self, stream: SealedStream, index: int) -> None:
        self.index, self._path, self._size = index, stream.pieces[index], stream.sizes[index]
        self.file: BinaryIO = open(self._path, "rb", buffering=0)  # noqa: SIM115  # closed by the reader
        head = self.file.read(_HEAD)
        if not head.startswith(_MAGIC):
            self.file.close()
            raise self._damaged(0)
        self._cipher = _Cipher(stream.key, head[len(_MAGIC) :], PieceNumber(index, len(stream.pieces)))

    def chunk(self, number: int) -> bytes:
        from cryptography.exceptions import InvalidTag

        start = _HEAD + number * (CHUNK + _TAG)
        self.file.seek(start)
        last = (number + 1) * CHUNK >= self._size
        try:
            return self._cipher.decrypt(self.file.read(CHUNK + _TAG), number, last=last)
        except InvalidTag:
            raise self._damaged(start) from None

    def _damaged(self, start: int) -> ChallengeError:
        return ChallengeError(
            f"{self._path}: damaged, or not what was sealed, at byte {start:,}; fetch the release again with --check"
        )


class _Cipher:
    def __init__(self, key: Key, salt: bytes, number: PieceNumber) -> None:
        _check_package()
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        derived: bytes = HKDF(SHA256(), 32 + 7, salt, _INFO).derive(key.secret)
        self._aes, self._prefix, self._data = AESGCM(derived[:32]), derived[32:], number.to_bytes()

    def encrypt(self, chunk: bytes, number: int, *, last: bool) -> bytes:
        sealed: bytes = self._aes.encrypt(self._nonce(number, last), chunk, self._data)
        return sealed

    def decrypt(self, chunk: bytes, number: int, *, last: bool) -> bytes:
        plain: bytes = self._aes.decrypt(self._nonce(number, last), chunk, self._data)
        return plain

    def _nonce(self, number: int, last: bool) -> bytes:
        return self._prefix + struct.pack(">IB", number, last)


def _check_package() -> None:
    try:
        importlib.import_module("cryptography.hazmat.primitives.ciphers.aead")
    except ImportError as error:
        raise MissingPackageError(
            "sealed releases need the package cryptography: pip install 'ectype[releases]'"
        ) from error
