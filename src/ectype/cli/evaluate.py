"""``ectype evaluate``."""

from __future__ import annotations

from pathlib import Path

import click

from ectype.cli import options
from ectype.cli.output import DONE, print_figures, print_json
from ectype.errors import EvaluationError
from ectype.evaluation import Evaluation, plot_precision_recall, read_ground_truth, read_matches
from ectype.evaluation import evaluate as evaluate_matches

_file = click.Path(exists=True, dir_okay=False)


@click.command()
@click.argument("matches", type=_file)
@click.argument("ground_truth", type=_file)
@click.option("--plot", type=click.Path(dir_okay=False), help="Draw the precision-recall curve (.png, .svg or .pdf).")
@click.option("--queries", type=_file, help="A list of every query id; matches with others are refused.")
@click.option("--references", type=_file, help="A list of every reference id; matches with others are refused.")
@options.json_option
def evaluate(
    matches: str, ground_truth: str, plot: str | None, queries: str | None, references: str | None, as_json: bool
) -> int:
    """Score MATCHES (query_id,reference_id,score) against GROUND_TRUTH (query_id,reference_id).

    The measures are those of the Image Similarity Challenge. A query that was copied from nothing stands in the ground
    truth with an empty reference; matches of queries that do not stand there at all are dropped.
    """
    truth = read_ground_truth(ground_truth)
    result = evaluate_matches(
        read_matches(matches),
        truth,
        known_queries=_read_ids(queries),
        known_references=_read_ids(references),
    )
    if plot is not None:
        plot_precision_recall(result, plot)
    if as_json:
        print_json(result.to_dict())
    else:
        print_figures(matches, figures(result))
    return DONE


def figures(result: Evaluation) -> dict[str, str]:
    """The figures of an evaluation, for people."""
    reached = result.recall_at_p90 is not None
    return {
        "micro-average precision": f"{result.micro_average_precision:.4f}",
        "recall at precision 90": f"{result.recall_at_p90:.4f}" if reached else "never reached",
        "threshold at precision 90": f"{result.threshold_at_p90:.4f}" if reached else "",
        "recall at rank 1": f"{result.recall_at_rank1:.4f}",
        "recall at rank 10": f"{result.recall_at_rank10:.4f}",
        "queries": f"{result.queries:,}, {result.copies:,} copies",
        "pairs": f"{result.matches:,} scored, {result.dropped:,} dropped (of other queries)",
    }


def _read_ids(path: str | None) -> frozenset[str] | None:
    if path is None:
        return None
    try:
        return frozenset(filter(None, map(str.strip, Path(path).read_text("utf-8-sig").splitlines())))
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path}: not a readable list of ids: {error}") from error
