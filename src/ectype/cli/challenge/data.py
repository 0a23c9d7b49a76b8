"""``ectype challenge make`` and ``manifest``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from ectype.cli import options
from ectype.cli.output import (
    DONE,
    DONE_WITH_SKIPS,
    print_figures,
    print_json,
    print_rows,
    print_skipped,
    progress,
    skipped_to_json,
)

if TYPE_CHECKING:
    from ectype.challenge.making import MakeReport

_number = partial(click.option, metavar="N", required=True)


@click.command()
@click.argument("root", type=click.Path(file_okay=False))
@click.argument("photographs", nargs=-1, required=True)
@_number("--references", type=click.IntRange(min=1), help="Reference images.")
@_number("--queries", type=click.IntRange(min=1), help="Queries of phase 1.")
@_number("--training", type=click.IntRange(min=0), help="Training images; they are pasted into queries, too.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    required=True,
    help="A long number, to be kept secret: all chance follows from it, the labels too.",
)
@click.option(
    "--copies",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    metavar="SHARE",
    help="Share of the queries that are copies of references.",
)
@click.option(
    "--kinds-file",
    type=click.Path(exists=True, dir_okay=False),
    help="Kinds of edits with their weights: TOML lines `crop = 2`, or a JSON object.  "
    "[default: as often as in the final test set of the Image Similarity Challenge]",
)
@click.option(
    "--hold-back", multiple=True, metavar="KIND", help="Keep a kind of edit for phase 2 alone; may be repeated."
)
@click.option(
    "--phase2-queries",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Queries of phase 2, from other photographs; they use every kind of edit.",
)
@click.option("--adversarial", is_flag=True, help="Attack the bundled model's descriptors, too; needs PyTorch.")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Processes.  [default: one for each core]")
@options.json_option
def make(
    root: str,
    photographs: tuple[str, ...],
    references: int,
    queries: int,
    training: int,
    seed: int,
    copies: float,
    kinds_file: str | None,
    hold_back: tuple[str, ...],
    phase2_queries: int,
    adversarial: bool,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Make the data set of a challenge in the new folder ROOT, from PHOTOGRAPHS.

    PHOTOGRAPHS are files, folders, .tar archives or lists. Each plays one part: as a reference, as a training image, or
    as a query that was copied from nothing. The other queries are copies of references, with one to four edits.

    Hand out the images with manifest.csv. Keep ground_truth.csv, recipes.jsonl and made.json: they hold the labels, how
    each query was made, and the seed. The queries of phase 2 lie in phase2/, with a manifest of their own beside the
    first. The same arguments give the same bytes. Stopped in the middle, the same command goes on.
    """
    from ectype.challenge.making import (
        FINAL_TEST_SET,
        DataSetPlan,
        bundled_attack,
        find_photographs,
        make_dataset,
        read_kinds,
        steps_of,
    )

    kinds = FINAL_TEST_SET if kinds_file is None else read_kinds(kinds_file)
    plan = DataSetPlan(references, queries, training, seed, copies, kinds, hold_back, phase2_queries)
    items = find_photographs(photographs)
    attack = bundled_attack if adversarial else None
    with progress("making", steps_of(plan)) as tick:
        report = make_dataset(root, items, plan, attack=attack, jobs=jobs, on_progress=tick)
    if as_json:
        print_json(report.to_dict() | {"root": root, "skipped": skipped_to_json(report.skipped)})
    else:
        _print_report(root, report)
    return DONE_WITH_SKIPS if report.skipped else DONE


def _print_report(root: str, report: MakeReport) -> None:
    print_skipped(report.skipped)
    figures = {"references": f"{report.references:,}", "training": f"{report.training:,}"}
    for number, phase in enumerate(report.phases, 1):
        figures[f"queries of phase {number}"] = f"{phase.queries:,}, {phase.copies:,} copies"
    if report.repeated:
        figures["photographs passed over"] = f"{report.repeated:,}, the same bytes as another one"
    if report.left_out:
        figures["left out"] = f"{', '.join(report.left_out)}: its share went to the other kinds (see --adversarial)"
    print_figures(root, figures)
    kinds = dict.fromkeys(kind for phase in report.phases[::-1] for kind in phase.kinds)
    rows = [(kind, *(f"{phase.kinds.get(kind, 0):,}" for phase in report.phases)) for kind in kinds]
    columns = ("kind of edit", *(f"phase {number}" for number in range(1, len(report.phases) + 1)))
    print_rows(columns, rows, title="queries with each kind of edit")


@click.command()
@click.argument("root", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--phase",
    type=click.Choice(["1", "2"]),
    default="1",
    show_default=True,
    help="Phase 1 has the development queries and training images, phase 2 the final queries.",
)
@options.json_option
def manifest(root: str, phase: str, as_json: bool) -> int:
    """Write the manifest of a data set that lies in ROOT already: manifest.csv, or manifest-phase2.csv.

    ROOT has folders of images as DISC21 has them, such as references/ or references_0/, references_1/ ..., queries/ or
    dev_queries_50k_0/, train/; or as `ectype challenge make` makes them. If lists of ids lie there, one id a line, they
    say which images count.
    """
    from ectype.challenge.making.disc21 import read_disc21, write_disc21_manifest

    data = read_disc21(root, phase=1 if phase == "1" else 2)
    with progress("hashing", len(data)) as tick:
        path = write_disc21_manifest(data, on_progress=tick)
    figures = {
        "manifest": str(path),
        "references": len(data.references),
        "queries": len(data.queries),
        "training": len(data.training),
        "unlisted": data.unlisted,
    }
    if as_json:
        print_json(figures)
    else:
        print_figures(root, {name: f"{value:,}" if type(value) is int else value for name, value in figures.items()})
    return DONE


COMMANDS: tuple[click.Command, ...] = (make, manifest)
