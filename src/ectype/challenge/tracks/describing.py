"""Submissions of the Descriptor Track, from descriptors that a collection or a file holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ectype.challenge.tracks.descriptor_file import ROWS_A_BLOCK, Rows, write_descriptor_track
from ectype.challenge.tracks.folding import Folding, Unfolded
from ectype.collection import Collection
from ectype.descriptors import DescribedImage, DescriptorModel, describe_items
from ectype.errors import CollectionError, ModelMismatchError
from ectype.images import DEFAULT_LIMITS, ImageItem, ImageLimits
from ectype.matching import Background, bundled_calibration, find_calibration
from ectype.types import DescriptorSet, OnProgress, SkippedImage

References = Collection | DescriptorSet


def describe_queries(
    items: Sequence[ImageItem],
    model: DescriptorModel,
    *,
    limits: ImageLimits = DEFAULT_LIMITS,
    on_progress: OnProgress | None = None,
) -> tuple[DescriptorSet, tuple[SkippedImage, ...]]:
    """Describe queries in memory.

    Returns
    -------
    DescriptorSet, tuple of SkippedImage
        What was described, and what could not be read.
    """
    results = list(describe_items(items, model, limits=limits, on_progress=on_progress))
    described = [result for result in results if isinstance(result, DescribedImage)]
    vectors = np.array([image.vector for image in described], np.float32).reshape(-1, model.dimension)
    ids = tuple(image.item.id for image in described)
    skipped = tuple(result for result in results if isinstance(result, SkippedImage))
    return DescriptorSet(ids, vectors, model.fingerprint), skipped


def background_for(references: References) -> Background:
    """The background that belongs to the model of some references.

    Raises
    ------
    ModelMismatchError
        There is none for this model.
    InvalidDataError
        A collection's own calibration is damaged, or its background shows references.
    """
    try:
        if isinstance(references, Collection):
            background = find_calibration(references).background
            background.refuse_overlap(references)
            return background
        calibration = bundled_calibration()
        calibration.check_model(references.fingerprint)
    except ModelMismatchError as error:
        raise ModelMismatchError(f"{error}; scores can be left as they are, too (--no-normalisation)") from None
    return calibration.background


def folding_for(references: References, *, normalise: bool = True) -> Folding | Unfolded:
    """How descriptors of the references' model are written, with score normalisation folded in or without.

    Raises
    ------
    ModelMismatchError
        Scores are to be normalised, and there is no background for the model.
    InvalidDataError
        The background can't be used.
    SubmissionError
        Without normalisation: the model has more dimensions than the track takes.
    """
    if normalise:
        return Folding.of(background_for(references))
    if isinstance(references, Collection):
        return Unfolded(int(references.meta["dimension"]))
    return Unfolded(references.vectors.shape[1])


def describe_track(
    path: str | Path, queries: DescriptorSet, references: References, folding: Folding | Unfolded
) -> None:
    """Write a Descriptor Track submission.

    Parameters
    ----------
    path : str or Path
    queries : DescriptorSet
    references : Collection or DescriptorSet
        Of the same model.
    folding : Folding or Unfolded
        From `folding_for` these references.

    Raises
    ------
    ModelMismatchError
        Queries and references were described by two models.
    StorageError
        The disk refused.
    """
    if queries.fingerprint != references.fingerprint:
        raise ModelMismatchError(
            f"the queries were described by another model ({queries.fingerprint[:12]}) than the references "
            f"({references.fingerprint[:12]}); describe both with one"
        )
    query_rows, reference_rows = rows_of(queries), rows_of(references)
    write_descriptor_track(
        path,
        Rows(query_rows.ids, map(folding.queries, query_rows.blocks)),
        Rows(reference_rows.ids, map(folding.references, reference_rows.blocks)),
        folding.dimension,
    )


def rows_of(source: References) -> Rows:
    """Descriptors sorted by id, in blocks."""
    if isinstance(source, Collection):
        there = sorted((reference.id, reference.row) for reference in source)
        return Rows([name for name, _ in there], _blocks_of(source, [row for _, row in there]))
    order = sorted(range(len(source)), key=source.ids.__getitem__)
    blocks = (source.vectors[order[start : start + ROWS_A_BLOCK]] for start in range(0, len(order), ROWS_A_BLOCK))
    return Rows([source.ids[position] for position in order], blocks)


def _blocks_of(collection: Collection, rows: Sequence[int]) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(rows), ROWS_A_BLOCK):
        wanted = rows[start : start + ROWS_A_BLOCK]
        vectors = collection.vectors(wanted)
        if len(vectors) < len(wanted):
            raise CollectionError(f"{collection.folder}: images were removed while they were read; run it again")
        yield np.stack([vectors[row] for row in wanted])
