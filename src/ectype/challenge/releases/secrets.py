"""Small files that a host keeps secret for a time: the key of a sealed release, the salt of a commitment."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import Any

from ectype.errors import ChallengeError, UsageError
from ectype.storage import check_folder_of, flush_to_disk, storage_error

_BYTES = 32
_KEY_DOMAIN = b"ectype sealed release, key commitment\0"


@dataclass(frozen=True, slots=True)
class Key:
    """The key of a sealed release.

    AES-GCM itself would let one ciphertext open under two keys. A release lists `commitment`, which no second key has.

    Attributes
    ----------
    secret : bytes
        32 random bytes, for one release only.
    """

    secret: bytes = field(repr=False)

    @staticmethod
    def new() -> Key:
        """A key that nobody has."""
        return Key(token_bytes(_BYTES))

    @property
    def commitment(self) -> str:
        """What tells the right key from another one, and tells nothing of the key."""
        return hashlib.sha256(_KEY_DOMAIN + self.secret).hexdigest()


def new_salt() -> bytes:
    """32 random bytes."""
    return token_bytes(_BYTES)


def write_key(path: str | Path, key: Key) -> None:
    """Write a key file that its owner alone may read.

    Raises
    ------
    UsageError
        There is a file of this name; a key is never overwritten.
    StorageError
        The disk refused.
    """
    _write(Path(path), "ectype-key-1", key.secret, key.commitment)


def read_key(path: str | Path) -> Key:
    """Read a key file.

    Raises
    ------
    ChallengeError
        It is missing, damaged, or no key file.
    """
    secret, commitment = _read(Path(path), "ectype-key-1")
    key = Key(secret)
    if key.commitment != commitment:
        raise ChallengeError(f"{path}: the key file is damaged; get it again")
    return key


def write_salt(path: str | Path, salt: bytes, commitment: str) -> None:
    """Write the salt of a commitment, with the commitment.

    Raises
    ------
    UsageError
        There is a file of this name; a salt is never overwritten.
    StorageError
        The disk refused.
    """
    _write(Path(path), "ectype-salt-1", salt, commitment)


def read_salt(path: str | Path) -> tuple[bytes, str]:
    """Read the salt of a commitment, and the commitment.

    Raises
    ------
    ChallengeError
        The file is missing, damaged, or has no salt.
    """
    return _read(Path(path), "ectype-salt-1")


def check_is_free(path: str | Path) -> None:
    """Raise unless a secret can be written there.

    Raises
    ------
    UsageError
        There is a file of this name.
    StorageError
        The folder is not there, or not writable.
    """
    if os.path.lexists(path):
        raise UsageError(f"{path}: is there already, and a secret is never overwritten; choose another name")
    check_folder_of(path)


def _write(path: Path, format: str, secret: bytes, commitment: str) -> None:
    check_is_free(path)
    content = json.dumps({"format": format, "secret": secret.hex(), "commitment": commitment}, indent=1) + "\n"
    temporary = path.with_name(f".{path.name}.{token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
        flush_to_disk(temporary)
        os.link(temporary, path)  # which, unlike a rename, replaces nothing
        flush_to_disk(path.parent)
    except FileExistsError:
        check_is_free(path)
        raise
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _read(path: Path, format: str) -> tuple[bytes, str]:
    try:
        content: Any = json.loads(path.read_text("utf-8"))
        if content["format"] != format:
            raise ValueError(content["format"])
        secret, commitment = bytes.fromhex(content["secret"]), str(content["commitment"])
        if len(secret) != _BYTES:
            raise ValueError(len(secret))
    except OSError as error:
        raise ChallengeError(f"{path}: can't be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError):
        raise ChallengeError(f"{path}: no file of the form {format}, or a damaged one") from None
    return secret, commitment
