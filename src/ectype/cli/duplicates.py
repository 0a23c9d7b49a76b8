"""``ectype duplicates``: sets of copies in a folder of photographs or in a collection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import click

from ectype.cli import options
from ectype.cli.collection import folder_argument
from ectype.cli.output import (
    DONE,
    DONE_WITH_SKIPS,
    print_figures,
    print_json,
    print_rows,
    print_skipped,
    progress,
    writer_for,
)
from ectype.descriptors import load_model
from ectype.descriptors.runtimes import RuntimeName
from ectype.duplicates import DuplicateReport, MarkedPair, find_duplicates, mark_images, marked_pairs, place_of
from ectype.duplicates.output import to_json, write_sets
from ectype.duplicates.records import Verdict
from ectype.images import ImageLimits
from ectype.storage import check_folder_of, write_json

_SETS_PRINTED = _PAIRS_PRINTED = 20


class _FindsByDefault(click.Group):
    """A group whose first argument may be left out: then it is ``find``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in self.get_help_option_names(ctx):
            args = ["find", *args]
        return super().parse_args(ctx, args)


state_option = click.option(
    "--state",
    type=click.Path(file_okay=False),
    help="Folder for what is remembered: comparisons and decisions.  [default: the collection's own; for photographs "
    "one in the user's data folder, nothing is written among them]",
)


@click.group(cls=_FindsByDefault)
def duplicates() -> None:
    """Group the images of DIR into sets of copies of each other; no image is ever changed or deleted.

    DIR is a folder of photographs or a collection. `ectype duplicates DIR` is short for `ectype duplicates find DIR`.
    """


@duplicates.command()
@folder_argument
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    type=click.Path(dir_okay=False),
    help="Where to write: .csv (a row for each image of a set), .json or .html with pictures. May be repeated.",
)
@state_option
@click.option("--moved", is_flag=True, help="Take over what was remembered of DIR when it was at another place.")
@options.model_option
@options.runtime_option
@options.limits_options
@options.json_option
def find(
    folder: str,
    outputs: tuple[str, ...],
    state: str | None,
    moved: bool,
    model_path: str | None,
    runtime: RuntimeName,
    max_bytes: int,
    max_pixels: int,
    as_json: bool,
) -> int:
    """Find the sets of copies in DIR, a folder of photographs or a collection.

    What was compared before is remembered, so a later run looks at new images only.
    """
    writers = [(path, _writer_for(path)) for path in outputs]
    for path in outputs:
        check_folder_of(path)  # better now than after an hour's work
    report = find_duplicates(
        place_of(folder, state),
        load_model(model_path, runtime=runtime) if model_path is not None else None,
        moved=moved,
        limits=ImageLimits(max_bytes, max_pixels),
        progress=progress,
        runtime=runtime,
    )
    for path, write in writers:
        write(path, report)
    if as_json:
        print_json(to_json(report))
    else:
        _print_report(folder, report, outputs)
    return DONE_WITH_SKIPS if report.skipped else DONE


def _writer_for(path: str) -> Callable[[str, DuplicateReport], None]:
    writers = {".csv": write_sets, ".json": _write_json, ".html": _write_html}
    return writer_for(path, writers, "sets")


def _write_json(path: str, report: DuplicateReport) -> None:
    write_json(path, to_json(report))


def _write_html(path: str, report: DuplicateReport) -> None:
    from ectype.reports.duplicates import write_duplicate_report

    write_duplicate_report(path, report, "Duplicates")


def _print_report(folder: str, report: DuplicateReport, outputs: tuple[str, ...]) -> None:
    print_skipped(report.skipped)
    if not outputs:
        _print_sets(report)
        _print_review(report)
    if report.contradictions:
        rows = [(chain[0], chain[-1], " – ".join(chain)) for one in report.contradictions for chain in one.chains]
        print_rows(("marked as different", "from", "joined by"), rows, title="contradictions, in no set")
    figures = {
        "images": f"{report.images:,}",
        "newly compared": f"{report.compared:,}",
        "sets of copies": f"{len(report.sets):,}",
        "images in them": f"{sum(len(one.members) for one in report.sets):,}",
        "pairs to look at": f"{len(report.review):,}",
        "contradictions": f"{len(report.contradictions):,}",
        "skipped": f"{len(report.skipped):,}",
        "remembered in": str(report.state),
    }
    print_figures(f"duplicates in {folder}", figures | ({"written": ", ".join(outputs)} if outputs else {}))


def _print_sets(report: DuplicateReport) -> None:
    rows = []
    for number, one in enumerate(report.sets[:_SETS_PRINTED], 1):
        for image in one.members:
            is_original = image is one.original
            size = f"{image.width} × {image.height}" if image.width else ""
            count = f"{image.bytes:,}" if image.bytes is not None else ""
            rows.append((str(number) if is_original else "", image.id, size, count, one.why if is_original else ""))
    if rows:
        title = f"{min(len(report.sets), _SETS_PRINTED)} of {len(report.sets):,} sets, the suggested original first"
        print_rows(("set", "image", "pixels", "bytes", "why it is the original"), rows, title=title)


def _print_review(report: DuplicateReport) -> None:
    shown = report.review[:_PAIRS_PRINTED]
    if shown:
        rows = [(pair.first_id, pair.second_id, f"{pair.score:.3f}") for pair in shown]
        title = f"{len(shown)} of {len(report.review):,} pairs to look at"
        print_rows(("image", "may be a copy of", "probability"), rows, title=title)


@duplicates.command()
@folder_argument
@click.argument("verdict", type=click.Choice(["same", "different", "undecided"]))
@click.argument("images", nargs=-1, required=True)
@state_option
@options.json_option
def mark(folder: str, verdict: str, images: tuple[str, ...], state: str | None, as_json: bool) -> int:
    """Decide that IMAGES of DIR are the same, or different; `undecided` takes a decision back.

    IMAGES are two or more ids as `ectype duplicates` shows them, or paths of files. Every pair of them is marked. The
    decision belongs to their content: it stays when files are renamed, moved or added again.
    """
    decisions: dict[str, Verdict | None] = {"same": "same", "different": "different", "undecided": None}
    place = place_of(folder, state)
    count = mark_images(place, images, decisions[verdict])
    result = {"verdict": verdict, "pairs": count, "state": str(place.state)}
    if as_json:
        print_json(result)
    else:
        print_figures(f"marked in {folder}", result)
    return DONE


@duplicates.command()
@folder_argument
@state_option
@options.json_option
def marks(folder: str, state: str | None, as_json: bool) -> int:
    """List what was decided with `mark`."""
    found = marked_pairs(place_of(folder, state))
    if as_json:
        print_json([asdict(one) for one in found])
    elif found:
        rows = [(one.verdict, _named(one, True), _named(one, False), one.made) for one in found]
        print_rows(("verdict", "image", "and", "made"), rows)
    else:
        click.echo(f"{folder}: nothing was marked")
    return DONE


def _named(pair: MarkedPair, first: bool) -> str:
    ids, content = (pair.first_ids, pair.first) if first else (pair.second_ids, pair.second)
    return ", ".join(ids) or f"no image any more ({content[:12]})"
