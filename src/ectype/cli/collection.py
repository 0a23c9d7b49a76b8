"""``ectype collection``: make and keep a reference collection."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from ectype.cli import options
from ectype.cli.output import (
    DONE,
    DONE_WITH_SKIPS,
    INVALID_DATA,
    print_figures,
    print_json,
    print_json_list,
    print_rows,
    print_skipped,
    progress,
    skipped_to_json,
)
from ectype.collection import Collection, Reference
from ectype.descriptors import DescriptorModel, load_model
from ectype.descriptors.runtimes import RuntimeName
from ectype.images import IMAGE_SUFFIXES, ImageLimits, list_images
from ectype.images.sources import STANDARD_INPUT, IdRule

folder_argument = click.argument("folder", metavar="DIR", type=click.Path(file_okay=False))


@click.group()
def collection() -> None:
    """Make and keep a collection of reference images."""


@collection.command()
@folder_argument
@options.model_option
@click.option(
    "--keep-features",
    is_flag=True,
    help="Keep what verifying a match needs of each image, about 50 kB, so that no image files are needed for it.",
)
@options.json_option
def create(folder: str, model_path: str | None, keep_features: bool, as_json: bool) -> int:
    """Make an empty collection in a new or empty folder DIR."""
    with Collection.create(folder, load_model(model_path), keep_features=keep_features) as made:
        _print_result("collection made", {"collection": folder, **made.meta}, as_json)
    return DONE


@collection.command(help=f"Add images to the collection in DIR; what is there already stays.\n\n{options.IMAGES_HELP}")
@folder_argument
@options.images_argument
@click.option("--replace", is_flag=True, help="Exchange images whose id is there with other content.")
@options.model_option
@options.runtime_option
@options.ids_option
@options.limits_options
@options.json_option
def add(
    folder: str,
    images: tuple[str, ...],
    replace: bool,
    model_path: str | None,
    runtime: RuntimeName,
    ids: IdRule,
    max_bytes: int,
    max_pixels: int,
    as_json: bool,
) -> int:
    with Collection(folder) as opened:
        model = model_for(opened, model_path, runtime)
        items = list_images(images, ids=ids)
        with progress("adding", len(items)) as on_progress:
            limits = ImageLimits(max_bytes, max_pixels)
            report = opened.add(items, model, replace=replace, limits=limits, on_progress=on_progress)
        result = {
            "added": report.added,
            "unchanged": report.unchanged,
            "replaced": report.replaced,
            "images": len(opened),
        }
    if as_json:
        print_json(result | {"skipped": skipped_to_json(report.skipped)})
    else:
        print_skipped(report.skipped)
        print_figures(f"collection {folder}", result)
    return DONE_WITH_SKIPS if report.skipped else DONE


def model_for(opened: Collection, model_path: str | None, runtime: RuntimeName) -> DescriptorModel:
    """The collection's own model, or a given one that must be the same."""
    if model_path is None:
        return opened.load_model(runtime)
    model = load_model(model_path, runtime=runtime)
    opened.check_model(model)
    return model


@collection.command()
@folder_argument
@click.argument("images", nargs=-1, required=True)
@options.json_option
def remove(folder: str, images: tuple[str, ...], as_json: bool) -> int:
    """Remove images from the collection in DIR.

    IMAGES are ids, image files (whose id is their name without the extension) or - for ids on standard input, one a
    line. The files themselves are never touched.
    """
    with Collection(folder) as opened:
        wanted = list(_ids_of(images))
        removed = set(opened.remove(wanted))
        unknown = [name for name in dict.fromkeys(wanted) if name not in removed]
        result = {"removed": len(removed), "images": len(opened)}
    if as_json:
        print_json(result | {"unknown": unknown})
    else:
        if unknown:
            print_rows(("id that is not in the collection",), [(name,) for name in unknown])
        print_figures(f"collection {folder}", result)
    return DONE_WITH_SKIPS if unknown else DONE


def _ids_of(arguments: Iterable[str]) -> Iterator[str]:
    for argument in arguments:
        if argument == STANDARD_INPUT:
            yield from filter(None, (line.rstrip("\r\n") for line in sys.stdin))
        else:
            path = Path(argument)
            yield path.stem if path.suffix.lower() in IMAGE_SUFFIXES else argument


@collection.command("list")
@folder_argument
@options.json_option
def list_(folder: str, as_json: bool) -> int:
    """List the images of the collection in DIR: as a table in a terminal, else as lines of id, tab, location."""
    with Collection(folder) as opened:
        if as_json:
            print_json_list(_to_json(reference) for reference in opened)
        elif sys.stdout.isatty():
            print_rows(("id", "location"), [(reference.id, reference.location) for reference in opened])
        else:
            for reference in opened:
                click.echo(f"{reference.id}\t{reference.location}")
    return DONE


def _to_json(reference: Reference) -> dict[str, object]:
    return {
        "id": reference.id,
        "location": reference.location,
        "sha256": reference.sha256,
        "metadata": dict(reference.metadata),
    }


@collection.command()
@folder_argument
@options.json_option
def info(folder: str, as_json: bool) -> int:
    """Show what the collection in DIR holds."""
    with Collection(folder) as opened:
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        result = {"collection": folder, "images": len(opened), "bytes": size, **opened.meta}
        result["generation"] = opened.generation
        _print_result("collection", result, as_json)
    return DONE


@collection.command()
@folder_argument
@options.json_option
def check(folder: str, as_json: bool) -> int:
    """Check that everything in the collection in DIR is sound."""
    with Collection(folder) as opened:
        problems = opened.problems()
        count = len(opened)
    if as_json:
        print_json({"images": count, "sound": not problems, "problems": problems})
    elif problems:
        print_rows(("problem",), [(problem,) for problem in problems])
    else:
        click.echo(f"{folder}: sound, {count:,} images")
    return INVALID_DATA if problems else DONE


@collection.command()
@folder_argument
@options.json_option
def rebuild(folder: str, as_json: bool) -> int:
    """Write the search index of the collection in DIR anew from its database."""
    with Collection(folder) as opened:
        opened.rebuild()
        _print_result("index written", {"collection": folder, "images": len(opened)}, as_json)
    return DONE


def _print_result(title: str, result: dict[str, object], as_json: bool) -> None:
    if as_json:
        print_json(result)
    else:
        print_figures(title, result)
