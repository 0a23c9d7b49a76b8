"""The demonstration: copies of real photographs are made, and found again."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ectype.collection import Collection
from ectype.errors import InvalidDataError, UnreadableImageError
from ectype.evaluation import (
    Evaluation,
    GroundTruth,
    evaluate,
    plot_precision_recall,
    write_ground_truth,
    write_matches,
)
from ectype.images import ImageItem, decode_image, list_images
from ectype.matching import MatchReport, match_images
from ectype.reports import Annotation, Heading, data_uri, write_match_report
from ectype.storage import storage_error
from ectype.transformations import KINDS, Edit, Materials, Recipe
from ectype.types import OnProgress, SkippedImage

EDITS = (
    "crop",
    "rotate",
    "quarter_turn",
    "hflip",
    "grayscale",
    "ig_filter",
    "blur",
    "encoding_quality",
    "random_noise",
    "overlay_text",
    "overlay_emoji",
    "overlay_onto_screenshot",
    "overlay_onto_image",
    "screen_photo",
)
FEWEST_PHOTOGRAPHS = 4
_MOST_PHOTOGRAPHS = 400
_MOST_QUERIES = 400
_SIDE = 512
_MARKER = ".ectype-demo"


@dataclass(frozen=True, slots=True, eq=False)
class DemoResult:
    """What the demonstration found.

    Attributes
    ----------
    evaluation : Evaluation
    by_edit : mapping of str to (int, int)
        For each edit, how many of its copies have their reference at rank 1, and how many there are.
    references, copies, distractors : int
    skipped : tuple of SkippedImage
        Photographs that could not be read.
    report : Path
        The page with pictures.
    """

    evaluation: Evaluation
    by_edit: dict[str, tuple[int, int]]
    references: int
    copies: int
    distractors: int
    skipped: tuple[SkippedImage, ...]
    report: Path


@dataclass(frozen=True, slots=True)
class _Query:
    id: str
    edit: str
    source: ImageItem
    is_copy: bool


def run_demo(photographs: Sequence[str | Path], out: Path, on_progress: OnProgress | None = None) -> DemoResult:
    """Put photographs into a collection, edit copies of them, and match the copies.

    Three of four photographs become references, the others distractors: queries, edited like the copies, that were
    copied from no reference.

    Parameters
    ----------
    photographs : sequence of str or Path
        Files or folders; at most 400 photographs are taken.
    out : Path
        A new or empty folder, or that of a former demonstration, which is replaced.
    on_progress : callable, optional
        Called with the number of queries finished since the last call.

    Raises
    ------
    InvalidDataError
        There are fewer than four photographs, or `out` holds other files.
    StorageError
        The disk refuses.
    """
    rng = random.Random(2021)
    items = list_images(photographs)
    rng.shuffle(items)
    items = items[:_MOST_PHOTOGRAPHS]
    if len(items) < FEWEST_PHOTOGRAPHS:
        raise InvalidDataError(f"the demonstration needs at least {FEWEST_PHOTOGRAPHS} photographs, not {len(items)}")
    _prepare(out)
    split = len(items) * 3 // 4
    with Collection.create(out / "collection") as collection:
        added = collection.add(items[:split])
        unreadable = {row.id for row in added.skipped}
        references = [item for item in items[:split] if item.id not in unreadable]
        queries = list(_make_queries(references, items[split:], out / "queries", rng))
        pairs = frozenset((query.id, query.source.id) for query in queries if query.is_copy)
        truth = GroundTruth(frozenset(query.id for query in queries), pairs)
        write_ground_truth(out / "ground_truth.csv", truth)
        report = match_images(collection, list_images([out / "queries"]), on_progress=on_progress)
    write_matches(out / "matches.csv", report.matches)
    evaluation = evaluate(report.matches, truth)
    plot_precision_recall(evaluation, out / "curve.png")
    copies = sum(query.is_copy for query in queries)
    result = DemoResult(
        evaluation,
        _count_by_edit(queries, report),
        len(references),
        copies,
        len(queries) - copies,
        added.skipped,
        out / "report.html",
    )
    _write_report(result, queries, report, out)
    return result


def _prepare(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()) and not (out / _MARKER).exists():
            raise InvalidDataError(f"{out}: holds other files; name a new or empty folder with --out")
        for entry in out.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != _MARKER:
                entry.unlink()
        (out / _MARKER).touch()
        (out / "queries").mkdir()
    except OSError as error:
        raise storage_error(out, error) from error


def _make_queries(
    references: Sequence[ImageItem], others: Sequence[ImageItem], folder: Path, rng: random.Random
) -> Iterator[_Query]:
    plan = [(item, edit, True) for item in references for edit in EDITS]
    plan += [(item, edit, False) for item in others for edit in EDITS]
    rng.shuffle(plan)
    for number, (item, edit, is_copy) in enumerate(plan[:_MOST_QUERIES]):
        query = _Query(f"query-{number:04d}", edit, item, is_copy)
        try:
            pixels = _open(item)
        except UnreadableImageError:  # a distractor that can't be read; a reference would have been skipped before
            continue
        drawn = KINDS[edit].sample(np.random.default_rng(number), (pixels.shape[1], pixels.shape[0]))
        edited = Recipe((Edit(edit, drawn),)).apply(pixels, Materials())
        Image.fromarray(edited.pixels).save(folder / f"{query.id}.jpg", quality=90)
        yield query


def _open(item: ImageItem) -> NDArray[np.uint8]:
    image = Image.fromarray(decode_image(item.read(), at_least=_SIDE))
    image.thumbnail((_SIDE, _SIDE))
    return np.asarray(image)


def _count_by_edit(queries: Sequence[_Query], report: MatchReport) -> dict[str, tuple[int, int]]:
    first: dict[str, str] = {}
    for match in report.matches:  # from the highest score down
        first.setdefault(match.query_id, match.reference_id)
    counts = dict.fromkeys(EDITS, (0, 0))
    for query in queries:
        if query.is_copy:
            found, all_ = counts[query.edit]
            counts[query.edit] = found + (first.get(query.id) == query.source.id), all_ + 1
    return counts


def _write_report(result: DemoResult, queries: Sequence[_Query], report: MatchReport, out: Path) -> None:
    by_id = {query.id: query for query in queries}
    annotations = {}
    for match in report.matches:
        query = by_id[match.query_id]
        right = query.is_copy and query.source.id == match.reference_id
        text = query.edit if query.is_copy else f"a distractor ({query.edit})"
        annotations[match.query_id, match.reference_id] = Annotation(right, text)
    evaluation = result.evaluation
    figures = {
        "µAP": f"{evaluation.micro_average_precision:.3f}",
        "recall at rank 1": f"{evaluation.recall_at_rank1:.3f}",
        "references": f"{result.references}",
        "copies": f"{result.copies}",
        "distractors": f"{result.distractors}",
    }
    curve = data_uri((out / "curve.png").read_bytes(), "image/png")
    write_match_report(result.report, report, Heading("Ectype: edited copies found again", figures, curve), annotations)
