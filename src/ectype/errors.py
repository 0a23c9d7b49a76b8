"""Every error a caller can meet.

::

    EctypeError
    ├── UsageError              the call itself is wrong: a missing path, options that exclude each other
    ├── InvalidDataError        the call is right, what it was given is not
    │   ├── UnreadableImageError   one image can't be read; ``code`` says why in a word
    │   ├── DuplicateIdError       two images with one id
    │   ├── ModelError             a model file, its card, or both do not fit
    │   ├── CollectionError        a folder is no collection, or a damaged one
    │   │   └── ModelMismatchError    the collection was made with another model
    │   ├── EvaluationError        matches or ground truth that can't be scored
    │   ├── ChallengeError         a challenge's settings, data, ledger or release can't be used
    │   └── SubmissionError        a submission is invalid, or the rules refuse it
    ├── StorageError            the disk refused: full, read-only, no permission
    ├── DownloadError           a file can't be fetched from the web, or another one came
    └── MissingPackageError     an optional package is needed and not installed

Each message says what was wrong, where, and what to do.
"""

from __future__ import annotations


class EctypeError(Exception):
    """Base class of every error that Ectype raises on purpose."""


class UsageError(EctypeError):
    """The call itself is wrong."""


class InvalidDataError(EctypeError):
    """The call is right, but what it was given is not."""


class UnreadableImageError(InvalidDataError):
    """One image can't be read.

    Attributes
    ----------
    code : str
        Why, as a stable word: ``missing``, ``not-permitted``, ``empty``, ``too-many-bytes``, ``too-many-pixels``,
        ``not-an-image``, ``truncated``, ``damaged``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class DuplicateIdError(InvalidDataError):
    """Two images carry one id."""


class ModelError(InvalidDataError):
    """A model file, its card, or both do not fit."""


class CollectionError(InvalidDataError):
    """A folder is no collection, or a damaged one."""


class ModelMismatchError(CollectionError):
    """The collection was made with another model."""


class EvaluationError(InvalidDataError):
    """Matches or ground truth that can't be scored."""


class ChallengeError(InvalidDataError):
    """A challenge's settings, data, ledger or release can't be used."""


class SubmissionError(InvalidDataError):
    """A submission is invalid, or the rules refuse it."""


class StorageError(EctypeError):
    """The disk refused to read or write."""


class DownloadError(EctypeError):
    """A file can't be fetched from the web, or another one came."""


class MissingPackageError(EctypeError):
    """An optional package is needed and not installed."""
