"""``ectype describe``."""

from __future__ import annotations

import click

from ectype.cli import options
from ectype.cli.output import DONE, DONE_WITH_SKIPS, print_figures, print_json, print_skipped, progress, skipped_to_json
from ectype.descriptors import describe_to_file, load_model
from ectype.descriptors.runtimes import RuntimeName
from ectype.images import ImageLimits, list_images
from ectype.images.sources import IdRule


@click.command(help=f"Describe images into an HDF5 file.\n\n{options.IMAGES_HELP}")
@options.images_argument
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False), help="The HDF5 file to write.")
@options.model_option
@options.runtime_option
@options.ids_option
@options.limits_options
@options.json_option
def describe(
    images: tuple[str, ...],
    output: str,
    model_path: str | None,
    runtime: RuntimeName,
    ids: IdRule,
    max_bytes: int,
    max_pixels: int,
    as_json: bool,
) -> int:
    items = list_images(images, ids=ids)
    model = load_model(model_path, runtime=runtime)
    with progress("describing", len(items)) as on_progress:
        limits = ImageLimits(max_bytes, max_pixels)
        skipped = describe_to_file(items, model, output, limits=limits, on_progress=on_progress)
    result = {
        "output": output,
        "described": len(items) - len(skipped),
        "dimension": model.dimension,
        "model": model.name,
        "fingerprint": model.fingerprint,
    }
    if as_json:
        print_json(result | {"skipped": skipped_to_json(skipped)})
    else:
        print_skipped(skipped)
        print_figures("descriptors", result)
    return DONE_WITH_SKIPS if skipped else DONE
