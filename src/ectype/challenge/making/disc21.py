"""The data set of the Image Similarity Challenge, DISC21, read as it is handed out.

Folders of images, whole or split: ``references/`` or ``references_0/``, ``references_1/`` …; ``train/``; for the two
phases ``dev_queries_50k_0/`` and ``test_queries_50k_0/``, or ``queries/`` for what has no phase. An image's id is its
file name without the extension. Files named ``references``, ``train``, ``dev_queries``, ``dev_queries_25k`` and so on,
an id a line, say which images count; without such a list all of a folder's do. Ground truth is a CSV file
``query_id,reference_id``: for phase 1 ``dev_queries_groundtruth.csv`` or ``public_ground_truth.csv``, for phase 2
``test_queries_groundtruth.csv``. Douze et al., "The 2021 Image Similarity Dataset and Challenge", 2021.

What `ectype.challenge.making` makes, with ``phase2/queries/``, is read likewise.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ectype.challenge.digests import sha256_of_file
from ectype.challenge.making.disc21_names import Content, Phase, Place, find_places
from ectype.challenge.manifest import Manifest, ManifestEntry, Role, write_manifest
from ectype.descriptors.runtimes import available_cores
from ectype.errors import ChallengeError
from ectype.evaluation import GroundTruth, read_ground_truth
from ectype.images import IMAGE_SUFFIXES, ImageItem
from ectype.types import OnProgress

MANIFESTS: Mapping[Phase, str] = {1: "manifest.csv", 2: "manifest-phase2.csv"}

_NAMED = 3
_AT_ONCE = 1024
_HEADERS = frozenset({"id", "image_id", "query_id", "reference_id"})


@dataclass(frozen=True, eq=False)
class Disc21:
    """A data set in the layout of DISC21, as one phase has it.

    Attributes
    ----------
    root : Path
    phase : {1, 2}
    references, queries, training : tuple of ImageItem
        Sorted by id. Training images belong to phase 1.
    truth : GroundTruth or None
        None where there is no such file.
    unlisted : int
        Images that lie in the folders but in no list; they are left out.
    """

    root: Path
    phase: Phase
    references: tuple[ImageItem, ...]
    queries: tuple[ImageItem, ...]
    training: tuple[ImageItem, ...]
    truth: GroundTruth | None
    unlisted: int

    def __len__(self) -> int:
        return len(self.references) + len(self.queries) + len(self.training)


def read_disc21(root: str | Path, *, phase: Phase = 1) -> Disc21:
    """Find the images, lists and labels of one phase; no image is read.

    Parameters
    ----------
    root : str or Path
    phase : {1, 2}
        Of two phases' folders, lists and labels, these are taken; those whose names say no phase serve where there are
        none that do.

    Raises
    ------
    ChallengeError
        There are no references or queries, an id is there twice, a listed id or a labelled image has no file, or a
        list or ground truth can't be read.
    """
    root = Path(root)
    if not root.is_dir():
        raise ChallengeError(f"{root}: there is no such folder")
    places = find_places(root)
    references, left_out = _images(root, places, "reference", phase)
    queries, others = _images(root, places, "query", phase)
    training, more = _images(root, places, "training", phase) if phase == 1 else ((), 0)
    truth = _truth(places, phase, references, queries)
    return Disc21(root, phase, references, queries, training, truth, left_out + others + more)


def disc21_manifest(data: Disc21, on_progress: OnProgress | None = None) -> Manifest:
    """The manifest of a phase: the size and digest of every image's file.

    Parameters
    ----------
    data : Disc21
    on_progress : callable, optional
        Called with the number of files read since the last call.

    Raises
    ------
    ChallengeError
        A file can't be read.
    """
    roles: tuple[tuple[Role, Sequence[ImageItem]], ...] = (
        ("reference", data.references),
        ("query", data.queries),
        ("training", data.training),
    )
    images = [(role, item) for role, items in roles for item in items]
    entries: list[ManifestEntry] = []
    with ThreadPoolExecutor(available_cores()) as pool:
        for start in range(0, len(images), _AT_ONCE):
            block = images[start : start + _AT_ONCE]
            entries += pool.map(lambda image: _entry(data.root, *image), block)
            if on_progress is not None:
                on_progress(len(block))
    return Manifest(tuple(entries))


def write_disc21_manifest(data: Disc21, on_progress: OnProgress | None = None) -> Path:
    """Write the manifest of a phase into the data set's folder: ``manifest.csv`` or ``manifest-phase2.csv``.

    Raises
    ------
    ChallengeError
        A file can't be read.
    StorageError
        The disk refused.
    """
    path = data.root / MANIFESTS[data.phase]
    write_manifest(path, disc21_manifest(data, on_progress).entries)
    return path


def _entry(root: Path, role: Role, item: ImageItem) -> ManifestEntry:
    path = Path(item.location)
    digest = sha256_of_file(path)
    return ManifestEntry(role, item.id, path.relative_to(root).as_posix(), path.stat().st_size, digest)


def _chosen(places: Iterable[Place], content: Content, role: Role, phase: Phase) -> list[Place]:
    fitting = [place for place in places if (place.content, place.role) == (content, role)]
    return [place for place in fitting if place.phase == phase] or [place for place in fitting if place.phase is None]


def _images(root: Path, places: Sequence[Place], role: Role, phase: Phase) -> tuple[tuple[ImageItem, ...], int]:
    """The images of a role, sorted by id, and how many no list names."""
    folders = _chosen(places, "images", role, phase)
    found: dict[str, Path] = {}
    for folder in folders:
        for path in _files(folder.path):
            if found.setdefault(path.stem, path) is not path:
                raise ChallengeError(f"the id {path.stem} is there twice: {found[path.stem]} and {path}; remove one")
    if not found and role != "training":
        raise ChallengeError(
            f"{root}: no {role} images of phase {phase}; they lie in a folder such as "
            f"{'references/' if role == 'reference' else 'queries/'}, so unpack archives first"
        )
    listed = set[str]()
    for place in _chosen(places, "ids", role, phase):
        ids = _read_ids(place.path)
        _refuse_missing(ids - found.keys(), f"{place.path}: lists {role} images")
        listed |= ids
    kept = sorted(listed or found)
    return tuple(ImageItem(name, str(found[name])) for name in kept), len(found) - len(kept)


def _files(folder: Path) -> Iterable[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES:
                yield Path(parent, name)


def _read_ids(path: Path) -> set[str]:
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise ChallengeError(f"{path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ChallengeError(f"{path}: a list of ids must be UTF-8 text: {error}") from error
    names = (line.strip() for line in lines)
    return {_without_suffix(name) for name in names if name and name not in _HEADERS}


def _without_suffix(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in IMAGE_SUFFIXES else name


def _refuse_missing(missing: set[str], what: str) -> None:
    if missing:
        some = ", ".join(sorted(missing)[:_NAMED]) + (" …" if len(missing) > _NAMED else "")
        raise ChallengeError(f"{what} that have no file here, {len(missing):,} in all: {some}; complete the folder")


def _truth(
    places: Sequence[Place], phase: Phase, references: Sequence[ImageItem], queries: Sequence[ImageItem]
) -> GroundTruth | None:
    files = _chosen(places, "truth", "query", phase)
    folders = _chosen(places, "images", "query", phase)
    if phase == 2 and any(place.phase == 2 for place in folders):
        files = [place for place in files if place.phase == 2]  # what names no phase is of the first
    if not files:
        return None
    query_ids, reference_ids = {item.id for item in queries}, {item.id for item in references}
    known, pairs = set[str](), set[tuple[str, str]]()
    for place in files:
        truth = read_ground_truth(place.path)
        _refuse_missing(set(truth.queries - query_ids), f"{place.path}: labels queries")
        _refuse_missing({name for _, name in truth.pairs} - reference_ids, f"{place.path}: names references")
        # A file that lists no distractor leaves them out: then each query it does not name is one.
        names_distractors = len({query for query, _ in truth.pairs}) < len(truth.queries)
        known |= truth.queries if names_distractors else query_ids
        pairs |= truth.pairs
    return GroundTruth(frozenset(known), frozenset(pairs))
