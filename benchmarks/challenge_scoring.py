"""Scoring descriptors: time and memory, beside faiss's own range search with a maximum number of results.

    python benchmarks/challenge_scoring.py [--queries 5000] [--references 100000] [--dimension 256]
    python benchmarks/challenge_scoring.py --full FOLDER

Both search the same random vectors, half of the queries with a planted copy, in turn and on the same cores; faiss as
the official scorer calls it: squared L2, batches of queries that grow, from no radius at all to one that leaves ten
pairs a query. With --full, a submission of 50,000 queries and 1,000,000 references is written into FOLDER (1.1 GB),
and validated and scored as `ectype challenge score` does it.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from faiss.contrib.exhaustive_search import range_search_max_results
from numpy.typing import NDArray

from ectype.challenge.scoring.range_search import best_pairs
from ectype.challenge.scoring.score import PAIRS_A_QUERY, score_submission
from ectype.challenge.tracks.descriptor_file import ROWS_A_BLOCK, Rows, write_descriptor_track
from ectype.evaluation import GroundTruth, evaluate
from ectype.testing.conformance import unit_rows
from ectype.types import Match

Vectors = NDArray[np.float32]
NOISE = 2.5  # of a planted copy, beside a query of length 1: some are found, some are not
FULL = (50_000, 1_000_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=5_000)
    parser.add_argument("--references", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--full", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    if options.full is not None:
        score_full_size(rng, options.full / "full-size.h5", options.dimension)
        return

    queries = unit_rows(rng, options.queries, options.dimension)
    blocks = list(references(rng, queries, options.references))
    everything = np.concatenate(blocks)
    wanted = PAIRS_A_QUERY * len(queries)
    before = peak_memory()
    best_pairs(queries, blocks, wanted)
    print(f"memory beside the vectors: {(peak_memory() - before) / 2**20:,.0f} MiB", flush=True)

    ratios = []
    for number in range(options.rounds):
        found, seconds = timed(lambda: best_pairs(queries, blocks, wanted))
        theirs, seconds_faiss = timed(lambda: search_with_faiss(queries, everything, wanted))
        ratios.append(seconds_faiss / seconds)
        print(f"round {number + 1}: {seconds:6.2f} s, faiss {seconds_faiss:6.2f} s, ratio {ratios[-1]:.2f}", flush=True)
    print(f"ratio: median {statistics.median(ratios):.2f}")

    rows = found.query_rows * len(everything) + found.reference_rows
    rows_faiss = theirs[0] * len(everything) + theirs[1]
    print(f"pairs in common: {len(np.intersect1d(rows, rows_faiss)):,} of {len(rows):,} and {len(rows_faiss):,}")
    for name, columns in (("ours", (found.query_rows, found.reference_rows, found.scores)), ("faiss", theirs)):
        print(f"micro-average precision, {name}: {micro_average_precision(len(queries), columns):.6f}")


def references(rng: np.random.Generator, queries: Vectors, count: int) -> Iterator[Vectors]:
    """Unit rows in blocks; the first of them are copies of the first half of the queries."""
    copies = len(queries) // 2
    for start in range(0, count, ROWS_A_BLOCK):
        block = unit_rows(rng, min(ROWS_A_BLOCK, count - start), queries.shape[1])
        planted = queries[start : min(copies, start + len(block))]
        mixed = planted + NOISE * block[: len(planted)]
        block[: len(planted)] = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
        yield block


def search_with_faiss(queries: Vectors, everything: Vectors, wanted: int) -> tuple[NDArray[Any], ...]:
    """Query rows, reference rows and scores of `wanted` pairs, as the official scorer finds them."""
    index = faiss.IndexFlatL2(everything.shape[1])
    index.add(everything)
    batches = (queries[start : 2 * start + 32] for start in growing_starts(len(queries)))
    _, limits, distances, rows = range_search_max_results(
        index, batches, 1e10, max_results=2 * wanted, min_results=wanted
    )
    kept = np.sort(np.argpartition(distances, min(wanted, len(distances)) - 1)[:wanted])
    owners = np.repeat(np.arange(len(queries)), np.diff(limits.astype(np.int64)))
    return owners[kept], rows[kept], -distances[kept].astype(np.float64)


def growing_starts(count: int) -> Iterator[int]:
    """Where batches of 32, 64, 128 … queries begin."""
    start = 0
    while start < count:
        yield start
        start = 2 * start + 32


def score_full_size(rng: np.random.Generator, path: Path, dimension: int) -> None:
    queries = unit_rows(rng, FULL[0], dimension)
    query_ids, reference_ids = [f"Q{row:05}" for row in range(FULL[0])], [f"R{row:06}" for row in range(FULL[1])]
    _, seconds = timed(
        lambda: write_descriptor_track(
            path,
            Rows(query_ids, [queries]),
            Rows(reference_ids, references(rng, queries, FULL[1])),
            dimension,
        )
    )
    print(f"written in {seconds:.0f} s; {path.stat().st_size / 1e9:.2f} GB", flush=True)
    copies = zip(query_ids[: FULL[0] // 2], reference_ids, strict=False)
    truth = GroundTruth(frozenset(query_ids), frozenset(copies))
    start, done = time.perf_counter(), 0

    def show(hundredths: int) -> None:
        nonlocal done
        done += hundredths
        print(f"{done:3} % after {time.perf_counter() - start:.0f} s", flush=True)

    result, seconds = timed(lambda: score_submission(path, truth, on_progress=show))
    print(result.to_dict())
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(
        f"validated and scored in {seconds:.0f} s, {peak_memory() / 2**30:.2f} GiB; validation {child / 2**30:.2f} GiB"
    )


def micro_average_precision(count: int, columns: tuple[NDArray[Any], ...]) -> float:
    truth = GroundTruth(frozenset(map(str, range(count))), frozenset((str(row), str(row)) for row in range(count // 2)))
    rows = zip(*(column.tolist() for column in columns), strict=True)
    matches = [Match(str(query), str(reference), score) for query, reference, score in rows]
    return evaluate(matches, truth).micro_average_precision


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def peak_memory() -> int:
    """Bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
