"""Valid submissions of random content, to see what one looks like and to try everything out with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ectype.challenge.manifest import Manifest
from ectype.challenge.tracks.content import MOST_DIMENSIONS, MOST_ROWS, Track
from ectype.challenge.tracks.descriptor_file import ROWS_A_BLOCK, Rows, write_descriptor_track
from ectype.challenge.tracks.folding import unit_rows
from ectype.evaluation import write_matches
from ectype.matching import PAIRS_A_QUERY
from ectype.types import Match


def write_example(
    path: str | Path, manifest: Manifest, track: Track, *, seed: int = 0, dimension: int = MOST_DIMENSIONS
) -> None:
    """Write a random submission that is valid for a manifest.

    Parameters
    ----------
    path : str or Path
    manifest : Manifest
    track : {"matching", "descriptor"}
    seed : int
        The same one gives the same submission.
    dimension : int
        Of the vectors of a Descriptor Track submission.

    Raises
    ------
    SubmissionError
        The track does not take vectors of this dimension.
    StorageError
        The disk refused.
    """
    rng = np.random.default_rng(seed)
    if track == "matching":
        write_matches(path, _matches(rng, manifest))
    else:
        queries, references = manifest.query_ids, manifest.reference_ids
        write_descriptor_track(
            path,
            Rows(queries, _vectors(rng, queries, dimension)),
            Rows(references, _vectors(rng, references, dimension)),
            dimension,
        )


def _matches(rng: np.random.Generator, manifest: Manifest) -> Iterator[Match]:
    queries, references = manifest.query_ids, manifest.reference_ids
    count = min(PAIRS_A_QUERY, len(references), MOST_ROWS // max(len(queries), 1))
    for query in queries:
        for position in rng.choice(len(references), count, replace=False) if count else ():
            yield Match(query, references[position], float(rng.random()))


def _vectors(rng: np.random.Generator, ids: Sequence[str], dimension: int) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(ids), ROWS_A_BLOCK):
        count = min(ROWS_A_BLOCK, len(ids) - start)
        yield unit_rows(rng.standard_normal((count, dimension), np.float32)).astype(np.float32)
