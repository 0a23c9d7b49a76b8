"""``ectype demo``."""

from __future__ import annotations

from pathlib import Path

import click

from ectype.cli import options
from ectype.cli.evaluate import figures
from ectype.cli.output import (
    DONE,
    DONE_WITH_SKIPS,
    print_figures,
    print_json,
    print_rows,
    print_skipped,
    skipped_to_json,
)


@click.command()
@click.option(
    "--images", type=click.Path(exists=True), help="A folder of photographs.  [default: those scikit-image ships]"
)
@click.option(
    "--out", type=click.Path(file_okay=False), default="ectype-demo", show_default=True, help="Where to write."
)
@options.json_option
def demo(images: str | None, out: str, as_json: bool) -> int:
    """Make edited copies of real photographs, find them again, and show the result as a page with pictures."""
    from ectype.demo import packaged_photographs, run_demo

    photographs = packaged_photographs() if images is None else [Path(images)]
    if not as_json:
        click.echo("making edited copies and matching them ...", err=True)
    result = run_demo(photographs, Path(out))
    if as_json:
        by_edit = {edit: {"found": found, "copies": all_} for edit, (found, all_) in result.by_edit.items()}
        more = {"by_edit": by_edit, "report": str(result.report), "skipped": skipped_to_json(result.skipped)}
        print_json(result.evaluation.to_dict() | more)
    else:
        rows = [(edit, f"{all_}", f"{found}") for edit, (found, all_) in result.by_edit.items()]
        print_skipped(result.skipped)
        title = f"{result.copies} edited copies of {result.references} photographs, {result.distractors} distractors"
        print_rows(("edit", "copies", "found at rank 1"), rows, title=title)
        print_figures("measures of the challenge", figures(result.evaluation))
        click.echo(f"pictures: {result.report}")
    return DONE_WITH_SKIPS if result.skipped else DONE
