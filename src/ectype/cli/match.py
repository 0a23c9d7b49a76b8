"""``ectype match``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ectype.cli import options
from ectype.cli.collection import folder_argument, model_for
from ectype.cli.output import (
    DONE,
    DONE_WITH_SKIPS,
    print_figures,
    print_json,
    print_rows,
    print_skipped,
    progress,
    skipped_to_json,
    writer_for,
)
from ectype.collection import Collection
from ectype.descriptors import read_descriptors
from ectype.descriptors.runtimes import RuntimeName
from ectype.evaluation import write_matches
from ectype.evidence import Decision
from ectype.images import ImageLimits, list_images
from ectype.images.sources import IdRule
from ectype.matching import MOST_PAIRS, PAIRS_A_QUERY, MatchReport, match_by_descriptor, match_descriptors, match_images
from ectype.storage import check_folder_of, write_json

DESCRIPTOR_SUFFIXES = (".h5", ".hdf5")
_PAIRS_PRINTED = 20
_DECIDED: dict[Decision, str] = {"copy": "copies", "review": "to review", "different": "different"}

_HELP = f"""Find the references in the collection DIR that images were copied from.

{options.IMAGES_HELP}

Each pair's score is the probability that it is a copy, and says COPY, REVIEW or DIFFERENT. Instead of images, one .h5
file that `ectype describe` wrote may be given; it is matched by the descriptor alone."""


@click.command(help=_HELP)
@folder_argument
@options.images_argument
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    type=click.Path(dir_okay=False),
    help="Where to write: .csv (query_id,reference_id,score), .json or .html with pictures. May be repeated.",
)
@click.option("--limit", type=click.IntRange(min=1), default=PAIRS_A_QUERY, show_default=True, help="Pairs a query.")
@click.option(
    "--total",
    type=click.IntRange(1, MOST_PAIRS),
    help=f"Pairs over all queries, the best of them.  [default: 10 times the queries, at most {MOST_PAIRS:,}]",
)
@click.option(
    "--fast",
    is_flag=True,
    help="Use the descriptor alone: scores are similarities, there are no decisions, and crops and pictures inside "
    "pictures are missed.",
)
@options.model_option
@options.runtime_option
@options.ids_option
@options.limits_options
@options.json_option
def match(
    folder: str,
    images: tuple[str, ...],
    outputs: tuple[str, ...],
    limit: int,
    total: int | None,
    fast: bool,
    model_path: str | None,
    runtime: RuntimeName,
    ids: IdRule,
    max_bytes: int,
    max_pixels: int,
    as_json: bool,
) -> int:
    writers = [(path, _writer_for(path)) for path in outputs]
    for path in outputs:
        check_folder_of(path)  # better now than after an hour's work
    with Collection(folder) as opened:
        if len(images) == 1 and Path(images[0]).suffix.lower() in DESCRIPTOR_SUFFIXES:
            report = match_descriptors(opened, read_descriptors(images[0]), limit=limit, total=total)
        else:
            model = model_for(opened, model_path, runtime)
            items = list_images(images, ids=ids)
            find = match_by_descriptor if fast else match_images
            with progress("matching", len(items)) as on_progress:
                limits = ImageLimits(max_bytes, max_pixels)
                report = find(opened, items, model, limit=limit, total=total, limits=limits, on_progress=on_progress)
    for path, write in writers:
        write(path, report)
    if as_json:
        print_json(_to_json(report))
    else:
        _print_report(report, outputs)
    return DONE_WITH_SKIPS if report.skipped else DONE


def _writer_for(path: str) -> Callable[[str, MatchReport], None]:
    writers = {".csv": _write_csv, ".json": _write_json, ".html": _write_html}
    return writer_for(path, writers, "matches")


def _write_csv(path: str, report: MatchReport) -> None:
    write_matches(path, report.matches)


def _write_json(path: str, report: MatchReport) -> None:
    write_json(path, _to_json(report))


def _write_html(path: str, report: MatchReport) -> None:
    from ectype.reports import Heading, write_match_report

    write_match_report(path, report, Heading("Matches", _figures(report)))


def _figures(report: MatchReport) -> dict[str, str]:
    decisions = Counter(match.decision for match in report.matches)
    return {
        "queries": f"{len(report.queries):,}",
        "pairs": f"{len(report.matches):,}",
        **{names: f"{decisions[name]:,}" for name, names in _DECIDED.items() if decisions[name]},
        "skipped": f"{len(report.skipped):,}",
    }


def _to_json(report: MatchReport) -> dict[str, Any]:
    from ectype.reports import match_to_json

    matches = [
        {
            **match_to_json(match),
            "query_location": report.queries[match.query_id].location,
            "reference_location": report.references[match.reference_id].location,
        }
        for match in report.matches
    ]
    return {"queries": len(report.queries), "matches": matches, "skipped": skipped_to_json(report.skipped)}


def _print_report(report: MatchReport, outputs: tuple[str, ...]) -> None:
    print_skipped(report.skipped)
    shown = report.matches[:_PAIRS_PRINTED]
    if not outputs and shown:
        rows = [
            (pair.query_id, pair.reference_id, f"{pair.score:.4f}", (pair.decision or "-").upper()) for pair in shown
        ]
        print_rows(
            ("query", "reference", "score", "decision"),
            rows,
            title=f"the best {len(shown)} of {len(report.matches):,} pairs",
        )
    print_figures("matches", _figures(report) | ({"written": ", ".join(outputs)} if outputs else {}))
