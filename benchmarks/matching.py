"""What each part of matching gains and costs, on any folder with references/, queries/ and ground_truth.csv.

    python benchmarks/matching.py FOLDER [--timed 60] [--plot reliability.png]

The collection keeps its references' local features. Accuracy is that of the best ten pairs of each query; costs are
milliseconds of processor time, on some of the queries, one after another. With an edits.json, recall is shown per edit,
too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from accuracy import print_by_edit
from ectype import Collection, GroundTruth, Match, evaluate, list_images, load_model, read_ground_truth, read_image
from ectype.evaluation import plot_reliability, reliability
from ectype.evidence import Evidence
from ectype.matching import CANDIDATES, MOST_PAIRS, Calibration, Matcher, bundled_calibration, match_by_descriptor
from ectype.matching.scoring import QueryPicture, ReferencePicture, score_pair
from ectype.matching.views import views_of
from ectype.verification import Verifier, prepare

_BEST = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--timed", type=int, default=60, help="queries whose costs are taken")
    parser.add_argument("--plot", type=Path, help="where to draw stated against observed probability")
    options = parser.parse_args()

    truth = read_ground_truth(options.folder / "ground_truth.csv")
    queries = list_images([options.folder / "queries"])
    with (
        tempfile.TemporaryDirectory() as folder,
        Collection.create(Path(folder) / "collection", keep_features=True) as collection,
    ):
        collection.add(list_images([options.folder / "references"]))
        calibration = bundled_calibration()
        whole = match_by_descriptor(collection, queries, limit=CANDIDATES, total=MOST_PAIRS).matches
        print_costs(
            collection, calibration, [item.location for item in queries[:: max(1, len(queries) // options.timed)]]
        )
        begun = time.monotonic()
        found = Matcher(collection, calibration=calibration).match(queries, limit=CANDIDATES, total=MOST_PAIRS).matches
        print(f"\n{len(queries)} queries against {len(collection)} references in {time.monotonic() - begun:.0f} s")
    print_gains(whole, found, calibration, truth)
    best = best_of_each(found)
    result = evaluate(best, truth)
    check = reliability(best, truth)
    print(f"\nexpected calibration error of each query's best pair: {check.expected_calibration_error:.4f}")
    for decision in ("copy", "review", "different"):
        right = Counter(
            (match.query_id, match.reference_id) in truth.pairs for match in best if match.decision == decision
        )
        print(f"  {decision:10} {right[True]:5} copies, {right[False]:5} others")
    if options.plot:
        plot_reliability(check, options.plot)
    if (options.folder / "edits.json").exists():
        print_by_edit(best, truth, result, json.loads((options.folder / "edits.json").read_text()))


def best_of_each(matches: Sequence[Match]) -> list[Match]:
    """The ten best pairs of each query, of all the best first."""
    kept: dict[str, list[Match]] = defaultdict(list)
    for match in sorted(matches, key=lambda match: -match.score):
        if len(kept[match.query_id]) < _BEST:
            kept[match.query_id].append(match)
    return sorted((match for rows in kept.values() for match in rows), key=lambda match: -match.score)


def print_gains(whole: Sequence[Match], found: Sequence[Match], calibration: Calibration, truth: GroundTruth) -> None:
    """Accuracy with one part after another."""
    candidates = {(match.query_id, match.reference_id) for match in whole}

    def scored(matches: Sequence[Match], score: Callable[[Evidence], float]) -> list[Match]:
        return [replace(match, score=score(match.evidence)) for match in matches if match.evidence is not None]

    def without_views(evidence: Evidence) -> float:
        return calibration.probability(replace(evidence, view_similarity=evidence.similarity))

    by_whole = [match for match in found if (match.query_id, match.reference_id) in candidates]
    rows = {
        "descriptor alone": whole,
        "less the background": scored(by_whole, lambda evidence: evidence.similarity - evidence.background),
        "views of the query": scored(found, lambda evidence: evidence.view_similarity),
        "views, less the background": scored(found, lambda evidence: evidence.view_similarity - evidence.background),
        "local features, no views": scored(by_whole, without_views),
        "everything": found,
    }
    print(f"\n{'':28} {'µAP':>6} {'R@P90':>6} {'R@1':>6} {'R@10':>6}")
    for name, matches in rows.items():
        result = evaluate(best_of_each(matches), truth)
        print(
            f"{name:28} {result.micro_average_precision:6.3f} {result.recall_at_p90 or 0:6.3f} "
            f"{result.recall_at_rank1:6.3f} {result.recall_at_rank10:6.3f}"
        )


def print_costs(collection: Collection, calibration: Calibration, paths: Sequence[str]) -> None:
    """Milliseconds of processor time a query, part by part."""
    model = load_model()
    spent: dict[str, list[float]] = defaultdict(list)

    def timed(part: str, work: Callable[[], object]) -> object:
        begun = time.process_time()
        made = work()
        spent[part].append((time.process_time() - begun) * 1000)
        return made

    rows = {reference.row: reference for reference in collection}
    with threadpool_limits(1):
        for number, path in enumerate(paths):
            pixels = read_image(path)
            views = views_of(pixels)
            own = timed("its own descriptor", lambda views=views: model.describe(views[:1]))
            more = timed("views", lambda views=views: model.describe(views[1:]))
            query = QueryPicture(
                path,
                "",
                np.concatenate([own, more]),
                timed("local features", lambda p=pixels: Verifier(prepare(p, "query"))),
            )
            near = timed("search", lambda query=query: collection.search(query.views, CANDIDATES))
            chosen = list(dict.fromkeys(near.reference_rows[np.argsort(-near.scores)].tolist()))[:CANDIDATES]
            kept = timed("reading kept features", lambda chosen=chosen: collection.features(chosen))
            vectors = collection.vectors(chosen)
            pictures = [ReferencePicture(rows[row].id, rows[row].sha256, vectors[row], kept[row]) for row in chosen]
            timed(
                f"verifying {CANDIDATES} pairs",
                lambda query=query, pictures=pictures: [score_pair(query, one, calibration) for one in pictures],
            )
            if number == 0:
                spent.clear()  # the first warms up
    print(f"{'milliseconds of processor time a query':40} median   mean")
    for part, values in spent.items():
        print(f"{part:40} {statistics.median(values):6.1f} {statistics.mean(values):6.1f}")
    beyond = [sum(values) for values in zip(*(spent[part] for part in list(spent)[1:]), strict=True)]
    print(f"{'all beyond its own descriptor':40} {statistics.median(beyond):6.1f} {statistics.mean(beyond):6.1f}")


if __name__ == "__main__":
    main()
