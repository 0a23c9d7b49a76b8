"""Accuracy on any folder with references/, queries/ and ground_truth.csv.

    python benchmarks/accuracy.py FOLDER [--model FILE] [--out accuracy.png]

With an edits.json (query id -> names of its edits) recall at rank 1 and at the threshold of precision 90 is shown per
edit, too. Nothing is normalised: the score is the inner product of two descriptors.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from ectype import (
    Collection,
    Evaluation,
    GroundTruth,
    Match,
    evaluate,
    list_images,
    load_model,
    match_by_descriptor,
    plot_precision_recall,
    read_ground_truth,
    write_matches,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, help="an ONNX file with its card; the bundled one by default")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--matches", type=Path, help="where to write the matches as CSV")
    parser.add_argument("--out", type=Path, help="where to draw the precision-recall curve")
    options = parser.parse_args()

    model = load_model(options.model, runtime=options.runtime)
    truth = read_ground_truth(options.folder / "ground_truth.csv")
    with tempfile.TemporaryDirectory() as folder, Collection.create(Path(folder) / "collection", model) as collection:
        added = collection.add(list_images([options.folder / "references"]), model)
        report = match_by_descriptor(collection, list_images([options.folder / "queries"]), model)
    result = evaluate(report.matches, truth)
    print(f"{model.name} {model.fingerprint[:12]}: {added.added} references, {len(report.queries)} queries")
    for name, value in result.to_dict().items():
        print(f"  {name:26} {value:.4f}" if isinstance(value, float) else f"  {name:26} {value}")
    edits = options.folder / "edits.json"
    if edits.exists():
        print_by_edit(report.matches, truth, result, json.loads(edits.read_text()))
    if options.matches:
        write_matches(options.matches, report.matches)
    if options.out:
        plot_precision_recall(result, options.out, f"{model.name}: µAP {result.micro_average_precision:.4f}")


def print_by_edit(
    matches: Sequence[Match], truth: GroundTruth, result: Evaluation, edits: Mapping[str, Sequence[str]]
) -> None:
    """Recall of the copies that an edit had a part in; most have several edits."""
    first: dict[str, Match] = {}
    for match in matches:
        first.setdefault(match.query_id, match)
    reference_of = dict(truth.pairs)
    outcomes: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for query, names in edits.items():
        if query in reference_of:
            best = first.get(query)
            found = best is not None and best.reference_id == reference_of[query]
            threshold = result.threshold_at_p90
            sure = found and threshold is not None and best is not None and best.score >= threshold
            for name in [*names, f"{len(names)} edits"]:
                outcomes[name].append((found, sure))
    print(f"\n  {'edit':32} copies  recall@1  recall@P90")
    for name, rows in sorted(outcomes.items(), key=lambda entry: sum(found for found, _ in entry[1]) / len(entry[1])):
        found, sure = (sum(row[i] for row in rows) / len(rows) for i in (0, 1))
        print(f"  {name:32} {len(rows):6}  {found:8.3f}  {sure:10.3f}")


if __name__ == "__main__":
    main()
