"""Exact search speed, as a share of the machine's float32 matrix-product rate.

    python benchmarks/search_speed.py [--queries 20000] [--references 200000] [--dimension 256]

Both are taken in turn, several times over. The matrix product is NumPy's, in blocks that fit the cache well; the
search returns the ten best references of every query, with scores that are summed pair by pair.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from ectype.indexes import FaissIndex
from ectype.testing.conformance import unit_rows

_BLOCK = 8192


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--references", type=int, default=200_000)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--limit", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    rng = np.random.default_rng(0)
    queries = unit_rows(rng, options.queries, options.dimension)
    references = unit_rows(rng, options.references, options.dimension)
    index = FaissIndex(options.dimension)
    index.add(np.arange(len(references)), references)
    operations = 2.0 * len(queries) * len(references) * options.dimension
    product = np.empty((_BLOCK, _BLOCK), np.float32)

    def multiply() -> None:
        for top in range(0, len(queries), _BLOCK):
            rows = queries[top : top + _BLOCK]
            for left in range(0, len(references), _BLOCK):
                columns = references[left : left + _BLOCK]
                np.matmul(rows, columns.T, out=product[: len(rows), : len(columns)])

    shares = []
    for number in range(options.rounds):
        bound = seconds(multiply)
        search = seconds(lambda: index.search(queries, options.limit))
        shares.append(bound / search)
        print(
            f"round {number + 1}: product {bound:6.1f} s ({operations / bound / 1e9:5.0f} GFLOP/s)   "
            f"search {search:6.1f} s ({len(queries) / search:7.0f} queries/s)   share {shares[-1]:.3f}",
            flush=True,
        )
    one = min(seconds(lambda: index.search(queries[:1], options.limit)) for _ in range(5))
    print(f"share: median {statistics.median(shares):.3f}; a single query: {one * 1e3:.0f} ms")


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
