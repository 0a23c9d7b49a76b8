"""``ectype calibrate``."""

from __future__ import annotations

from pathlib import Path

import click

from ectype.cli import options
from ectype.cli.collection import folder_argument
from ectype.cli.output import DONE, DONE_WITH_SKIPS, print_figures, print_json, print_skipped, progress, skipped_to_json
from ectype.collection import Collection
from ectype.descriptors import DescribedImage, DescriptorModel, describe_items, read_descriptors
from ectype.errors import InvalidDataError
from ectype.evaluation import plot_reliability, read_ground_truth
from ectype.evaluation.plot import check_plot_suffix
from ectype.images import list_images
from ectype.matching import (
    CALIBRATION_FILE,
    CANDIDATES,
    COPY_PRECISION,
    MOST_PAIRS,
    REVIEW_PRECISION,
    Background,
    Calibration,
    Matcher,
    Targets,
    find_calibration,
    fit,
)
from ectype.storage import check_folder_of

_DESCRIPTOR_SUFFIXES = (".h5", ".hdf5")
_files = click.Path(exists=True)


@click.command()
@folder_argument
@click.option("--queries", multiple=True, required=True, type=_files, help="Images to match, as for `ectype match`.")
@click.option(
    "--truth",
    required=True,
    type=click.Path(exists=True, dir_okay=False),
    help="What they were copied from: query_id,reference_id, with no reference for a query that is no copy.",
)
@click.option(
    "--background",
    multiple=True,
    type=_files,
    help="Images, or one .h5 file that `ectype describe` wrote: pictures that are neither references nor queries nor "
    "copies of them, a thousand or so.  [default: those of the calibration in use]",
)
@click.option("--copy-precision", type=float, default=COPY_PRECISION, show_default=True, help="Of the decision COPY.")
@click.option(
    "--review-precision", type=float, default=REVIEW_PRECISION, show_default=True, help="Of COPY and REVIEW together."
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Where to write, instead of into the collection.")
@click.option("--plot", type=click.Path(dir_okay=False), help="Where to draw stated against observed probability.")
@options.json_option
def calibrate(
    folder: str,
    queries: tuple[str, ...],
    truth: str,
    background: tuple[str, ...],
    copy_precision: float,
    review_precision: float,
    output: str | None,
    plot: str | None,
    as_json: bool,
) -> int:
    """Fit scores and thresholds of the collection in DIR on queries whose references are known.

    Afterwards `ectype match DIR` uses them. At least 50 of the queries must be copies, and 268 to call pairs copies
    with a precision of 0.99. The error that is told is that of queries which were not fitted on, half by half.
    """
    targets = Targets(copy_precision, review_precision)
    for path in filter(None, (output, plot)):
        check_folder_of(path)
    if plot:
        check_plot_suffix(plot)
    with Collection(folder) as opened:
        answers = read_ground_truth(truth)
        model = opened.load_model()
        unrelated = _background(background, opened, model)
        items = list_images(queries)
        matcher = Matcher(opened, model, Calibration.unfitted(unrelated))
        with progress("matching", len(items)) as on_progress:
            report = matcher.match(items, limit=CANDIDATES, total=MOST_PAIRS, on_progress=on_progress)
        fitted = fit(report.matches, answers, unrelated, len(opened), targets)
        written = Path(output) if output else opened.folder / CALIBRATION_FILE
        fitted.calibration.save(written)
    if plot:
        plot_reliability(fitted.check, plot)
    thresholds = fitted.calibration.thresholds
    result = {
        "calibration": str(written),
        **fitted.calibration.fitted_on,
        "copy_threshold": round(thresholds.copy, 6),
        "review_threshold": round(thresholds.review, 6),
        "expected_calibration_error": round(fitted.check.expected_calibration_error, 6),
    }
    if as_json:
        print_json(result | {"skipped": skipped_to_json(report.skipped)})
    else:
        print_skipped(report.skipped)
        print_figures("calibrated", result)
    return DONE_WITH_SKIPS if report.skipped else DONE


def _background(paths: tuple[str, ...], opened: Collection, model: DescriptorModel) -> Background:
    if not paths:
        return find_calibration(opened).background
    if len(paths) == 1 and Path(paths[0]).suffix.lower() in _DESCRIPTOR_SUFFIXES:
        return Background.of(read_descriptors(paths[0]))
    items = list_images(paths)
    with progress("describing the background", len(items)) as on_progress:
        described = [
            image
            for image in describe_items(items, model, on_progress=on_progress)
            if isinstance(image, DescribedImage)
        ]
    if not described:
        raise InvalidDataError("none of the background images can be read")
    return Background.of_images(described, model.fingerprint)
