"""What of a data set a host hands out."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from ectype.challenge.manifest import Manifest, ManifestEntry, Role, read_manifest, write_manifest
from ectype.challenge.releases.listing import is_place_in_root, is_sha256
from ectype.errors import ChallengeError, UsageError


@dataclass(frozen=True, slots=True)
class Contents:
    """What of a data set a host hands out: images, and files that are named.

    Attributes
    ----------
    manifest : str
        Path of the manifest below the data set's folder.
    roles : tuple of {"reference", "query", "training"}
        Images of these roles.
    include : tuple of str
        Other files, such as public labels; paths below the data set's folder. The ground truth is never handed out
        unless it stands here.
    truth_commitment : str or None
        Of the ground truth that is kept secret; see `ectype.challenge.releases.commit_truth`.

    Raises
    ------
    UsageError
        No role, an unknown one, a path that leaves the folder, or no commitment of 64 hexadecimal digits.
    """

    manifest: str = "manifest.csv"
    roles: tuple[Role, ...] = get_args(Role)
    include: tuple[str, ...] = ()
    truth_commitment: str | None = None

    def __post_init__(self) -> None:
        if not self.roles or not set(self.roles) <= set(get_args(Role)):
            raise UsageError(f"the roles {', '.join(self.roles)!r} must be some of {', '.join(get_args(Role))}")
        if self.truth_commitment is not None and not is_sha256(self.truth_commitment):
            raise UsageError(f"{self.truth_commitment!r} is no commitment; `ectype challenge commit` makes one")
        for path in (self.manifest, *self.include):
            if not is_place_in_root(path):
                raise UsageError(
                    f"{path}: must be a path below the data set's folder, and no part may begin with a dot"
                )

    def read_manifest(self, root: Path) -> Manifest:
        """The whole manifest.

        Raises
        ------
        ChallengeError
            There is none, or it lists no image of the roles.
        """
        manifest = read_manifest(root / self.manifest)
        if not any(entry.role in self.roles for entry in manifest.entries):
            raise ChallengeError(f"{root / self.manifest}: lists no image with the role {' or '.join(self.roles)}")
        return manifest

    def check_included(self, manifest: Manifest) -> None:
        """Raise `UsageError` if a file is included that is the manifest or one of its images."""
        taken = {self.manifest, *(entry.path for entry in manifest.entries)}
        for path in self.include:
            if path in taken:
                raise UsageError(f"{path}: is the manifest or an image of it; only other files are included by name")


def manifest_bytes(path: Path, entries: Sequence[ManifestEntry], of: Manifest) -> bytes:
    """A manifest file of these entries alone; the file itself where they are all that it has."""
    if len(entries) == len(of.entries):
        return path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        write_manifest(Path(folder, "manifest.csv"), entries)
        return Path(folder, "manifest.csv").read_bytes()
