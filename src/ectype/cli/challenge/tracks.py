"""``ectype challenge describe``, ``match``, ``example``, ``validate`` and ``score``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import click

from ectype.challenge.manifest import read_manifest
from ectype.challenge.scoring import score_submission
from ectype.challenge.tracks import MOST_DIMENSIONS, MOST_ROWS, Track
from ectype.challenge.tracks.describing import background_for, describe_queries, describe_track, folding_for
from ectype.challenge.tracks.example import write_example
from ectype.challenge.tracks.matching_fast import match_by_normalised_descriptor
from ectype.challenge.validation import ValidationReport, validate_submission
from ectype.cli import options
from ectype.cli.collection import folder_argument
from ectype.cli.evaluate import figures
from ectype.cli.match import DESCRIPTOR_SUFFIXES
from ectype.cli.output import (
    DONE,
    DONE_WITH_SKIPS,
    INVALID_DATA,
    print_figures,
    print_json,
    print_rows,
    print_skipped,
    progress,
    skipped_to_json,
)
from ectype.collection import Collection
from ectype.descriptors import read_descriptors
from ectype.errors import UsageError
from ectype.evaluation import plot_precision_recall, read_ground_truth, write_matches
from ectype.evaluation.plot import check_plot_suffix
from ectype.images import list_images
from ectype.images.sources import IdRule
from ectype.matching import match_images
from ectype.storage import check_folder_of
from ectype.types import DescriptorSet, Match, SkippedImage

_file = click.Path(exists=True, dir_okay=False)
_submission = click.argument("submission", type=_file)
_output = click.option("-o", "--output", required=True, type=click.Path(dir_okay=False), help="The file to write.")
_normalisation = click.option(
    "--normalisation/--no-normalisation",
    "normalise",
    default=True,
    show_default=True,
    help="Take off each score how similar its query is to unrelated pictures.",
)


@click.command(short_help="Write a Descriptor Track submission (HDF5).")
@click.argument("references", type=click.Path(exists=True))
@options.images_argument
@_output
@_normalisation
@options.ids_option
@options.json_option
def describe(references: str, images: tuple[str, ...], output: str, normalise: bool, ids: IdRule, as_json: bool) -> int:
    """Write a Descriptor Track submission: one HDF5 file with the vectors of all queries and REFERENCES.

    REFERENCES is a collection, and IMAGES are the queries (or one .h5 file of them); or both are .h5 files that `ectype
    describe` wrote, with one model.

    Score normalisation is folded into the vectors: one more dimension holds how similar a query is to unrelated
    pictures, so that distances rank as normalised scores do. A model that uses all 256 dimensions is first projected
    onto the 255 that matter most to those pictures.
    """
    check_folder_of(output)
    skipped: tuple[SkippedImage, ...] = ()
    if _are_descriptors(references):
        if not _are_descriptors(*images):
            raise UsageError(f"{references}: with references from an .h5 file, give one .h5 file of queries, too")
        queries = read_descriptors(images[0])
        described = read_descriptors(references)
        folding = folding_for(described, normalise=normalise)
        describe_track(output, queries, described, folding)
    else:
        with Collection(references) as opened:
            folding = folding_for(opened, normalise=normalise)  # better refused now than after an hour's work
            queries, skipped = _queries(opened, images, ids)
            describe_track(output, queries, opened, folding)
    return _print_written(output, {"queries": len(queries), "dimension": folding.dimension}, skipped, as_json)


@click.command(short_help="Write a Matching Track submission (CSV).")
@folder_argument
@options.images_argument
@_output
@click.option("--fast", is_flag=True, help="Use the descriptor alone; crops and pictures inside pictures are missed.")
@_normalisation
@click.option(
    "--total",
    type=click.IntRange(1, MOST_ROWS),
    help=f"Rows in all, the best of them.  [default: 10 times the queries, at most {MOST_ROWS:,}]",
)
@options.ids_option
@options.json_option
def match(
    folder: str,
    images: tuple[str, ...],
    output: str,
    fast: bool,
    normalise: bool,
    total: int | None,
    ids: IdRule,
    as_json: bool,
) -> int:
    """Write a Matching Track submission: the best pairs of the queries IMAGES with references of the collection DIR.

    Scores are probabilities that a pair is a copy. With --fast, or for one .h5 file of queries, they are similarities
    less how similar each query is to unrelated pictures. Each depends on its query and its reference alone.
    """
    check_folder_of(output)
    fast = fast or _are_descriptors(*images)
    if not (fast or normalise):
        raise UsageError("--no-normalisation is for --fast; probabilities have no other form")
    with Collection(folder) as opened:
        if fast:
            background = background_for(opened) if normalise else None
            queries, skipped = _queries(opened, images, ids)
            matches: Sequence[Match] = match_by_normalised_descriptor(opened, queries, background, total=total)
            count = len(queries)
        else:
            items = list_images(images, ids=ids)
            with progress("matching", len(items)) as on_progress:
                report = match_images(opened, items, total=total, on_progress=on_progress)
            matches, skipped, count = report.matches, report.skipped, len(report.queries)
    write_matches(output, matches)
    return _print_written(output, {"queries": count, "rows": len(matches)}, skipped, as_json)


def _are_descriptors(*paths: str) -> bool:
    return len(paths) == 1 and Path(paths[0]).suffix.lower() in DESCRIPTOR_SUFFIXES


def _queries(
    opened: Collection, images: tuple[str, ...], ids: IdRule
) -> tuple[DescriptorSet, tuple[SkippedImage, ...]]:
    if _are_descriptors(*images):
        return read_descriptors(images[0]), ()
    items = list_images(images, ids=ids)
    with progress("describing", len(items)) as on_progress:
        return describe_queries(items, opened.load_model(), on_progress=on_progress)


def _print_written(output: str, counts: dict[str, int], skipped: tuple[SkippedImage, ...], as_json: bool) -> int:
    if as_json:
        print_json({"output": output, **counts, "skipped": skipped_to_json(skipped)})
    else:
        print_skipped(skipped)
        print_figures(output, {name: f"{count:,}" for name, count in counts.items()})
    return DONE_WITH_SKIPS if skipped else DONE


@click.command()
@click.argument("manifest", type=_file)
@_output
@click.option("--track", type=click.Choice(get_args(Track)), default="matching", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same submission.")
@click.option(
    "--dimension",
    type=click.IntRange(1, MOST_DIMENSIONS),
    default=MOST_DIMENSIONS,
    show_default=True,
    help="Of vectors.",
)
@options.json_option
def example(manifest: str, output: str, track: Track, seed: int, dimension: int, as_json: bool) -> int:
    """Write a random submission that is valid for MANIFEST, to see what one looks like."""
    check_folder_of(output)
    listed = read_manifest(manifest)
    write_example(output, listed, track, seed=seed, dimension=dimension)
    counts = {"queries": len(listed.query_ids), "references": len(listed.reference_ids)}
    return _print_written(output, counts, (), as_json)


@click.command(short_help="Find everything that is wrong with a submission of either track.")
@_submission
@click.option(
    "--manifest", required=True, type=_file, help="That of the phase: which queries and references there are."
)
@options.json_option
def validate(submission: str, manifest: str, as_json: bool) -> int:
    """Find everything that is wrong with SUBMISSION, a file of either track.

    Each problem has a code, its place, and says what to do. Of a code that comes often, 20 problems are shown and the
    rest is counted. The exit code is 0 for a valid submission and 3 for an invalid one.
    """
    report = validate_submission(submission, read_manifest(manifest))
    if as_json:
        print_json(report.to_dict())
    elif report.ok:
        click.echo(f"{submission}: a valid submission of the {report.track} track")
    else:
        _print_problems(submission, report)
    return DONE if report.ok else INVALID_DATA


def _print_problems(submission: str, report: ValidationReport) -> None:
    rows = [(problem.place, problem.code, problem.message, problem.advice) for problem in report.problems]
    print_rows(("place", "code", "problem", "what to do"), rows, title=f"{submission} ({report.track} track)")
    print_figures("problems in all", {code: f"{count:,}" for code, count in report.counts.items()})


@click.command(short_help="Score a submission of either track against a ground truth.")
@_submission
@click.argument("truth", metavar="TRUTH", type=_file)
@click.option("--manifest", type=_file, help="That of the phase; with it the submission's ids are checked first.")
@click.option("--plot", type=click.Path(dir_okay=False), help="Draw the precision-recall curve (.png, .svg or .pdf).")
@options.json_option
def score(submission: str, truth: str, manifest: str | None, plot: str | None, as_json: bool) -> int:
    """Score SUBMISSION, a file of either track, against TRUTH (query_id,reference_id).

    The measures are those of `ectype evaluate`. For vectors, all pairs of queries and references are ranked by minus
    their squared L2 distance, and ten times as many as there are queries are kept. An invalid submission gets no score.
    """
    if plot is not None:
        check_plot_suffix(plot)
        check_folder_of(plot)
    known = read_ground_truth(truth)
    listed = None if manifest is None else read_manifest(manifest)
    with progress("scoring, in hundredths", 100) as on_progress:
        result = score_submission(submission, known, listed, on_progress=on_progress)
    if plot is not None:
        plot_precision_recall(result, plot)
    if as_json:
        print_json(result.to_dict())
    else:
        print_figures(submission, figures(result))
    return DONE


COMMANDS: tuple[click.Command, ...] = (describe, match, example, validate, score)
