"""``ectype compare``."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from ectype.cli import options
from ectype.cli.output import DONE, print_figures, print_json
from ectype.descriptors import load_model
from ectype.descriptors.runtimes import RuntimeName
from ectype.errors import UnreadableImageError, UsageError
from ectype.images import ImageItem, ImageLimits, decode_image, list_images
from ectype.matching import compare_images, read_calibration
from ectype.reports import match_to_json, reasons, write_pair
from ectype.storage import check_folder_of


@click.command()
@click.argument("query")
@click.argument("reference")
@click.option("--draw", type=click.Path(dir_okay=False), help="Where to draw what was found: a .png file.")
@options.model_option
@click.option(
    "--calibration",
    type=click.Path(exists=True, dir_okay=False),
    help="For another model than the default one: a file that `ectype calibrate` wrote.",
)
@options.runtime_option
@options.limits_options
@options.json_option
def compare(
    query: str,
    reference: str,
    draw: str | None,
    model_path: str | None,
    calibration: str | None,
    runtime: RuntimeName,
    max_bytes: int,
    max_pixels: int,
    as_json: bool,
) -> int:
    """Say whether the image QUERY was copied from the image REFERENCE, and why.

    Both are files, and one of them may be - for standard input. No collection is needed.
    """
    if draw is not None:
        if Path(draw).suffix.lower() != ".png":
            raise UsageError(f"{draw}: the drawing is written as .png")
        check_folder_of(draw)
    limits = ImageLimits(max_bytes, max_pixels)
    here, there = _one_image(query), _one_image(reference)
    query_pixels, reference_pixels = _decoded(here, limits), _decoded(there, limits)
    match = compare_images(
        here,
        there,
        load_model(model_path, runtime=runtime),
        calibration=None if calibration is None else read_calibration(Path(calibration)),
        limits=limits,
    )
    if draw is not None:
        write_pair(draw, query_pixels, reference_pixels, match)
    if as_json:
        print_json({"query": here.location, "reference": there.location} | match_to_json(match))
    else:
        figures = {
            "decision": match.decision,
            "probability of a copy": f"{match.score:.3f}",
            "reasons": "\n".join(reasons(match)),
        }
        print_figures("comparison", figures | ({} if draw is None else {"drawing": draw}))
    return DONE


def _one_image(name: str) -> ImageItem:
    found = list_images([name])
    if len(found) != 1:
        raise UsageError(f"{name}: holds {len(found)} images, and one is compared with one; name a single file")
    return found[0]


def _decoded(item: ImageItem, limits: ImageLimits) -> NDArray[np.uint8]:
    """The picture, or an error that says which of the two can't be read."""
    try:
        return decode_image(item.read(limits), limits=limits)
    except UnreadableImageError as error:
        raise UnreadableImageError(error.code, f"{item.location}: {error}") from error
