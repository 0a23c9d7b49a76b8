"""``ectype challenge run`` and ``audit``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from ectype.challenge.auditing.audit import audit_entry, number_of_runs
from ectype.challenge.auditing.page import write_audit_page
from ectype.challenge.auditing.probes import AuditSettings
from ectype.challenge.auditing.report import AuditReport, ProbeResult, Verdict
from ectype.challenge.freezing.freeze import EntryParts
from ectype.challenge.running.conditions import Conditions
from ectype.challenge.running.entry import Entry, Limits, read_entry
from ectype.challenge.running.frozen import require_frozen
from ectype.challenge.running.run import RunReport, run_entry
from ectype.challenge.running.staging import Images, find_images
from ectype.cli import options
from ectype.cli.output import (
    DONE,
    DONE_WITH_SKIPS,
    INVALID_DATA,
    print_figures,
    print_json,
    print_rows,
    progress,
    writer_for,
)
from ectype.errors import UsageError
from ectype.storage import check_folder_of, write_json

Command = TypeVar("Command", bound=Callable[..., Any])

_CODES: dict[Verdict, int] = {"no breach found": DONE, "missing pairs": DONE_WITH_SKIPS}
_images = partial(click.option, required=True, type=click.Path(exists=True))
_file = click.Path(exists=True, dir_okay=False, path_type=Path)
_folder = click.Path(exists=True, file_okay=False, path_type=Path)
_count = partial(click.option, type=click.IntRange(min=0), show_default=True)


def _limits(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    """Limits by their names, of texts such as ``seconds=3600``."""
    limits = {}
    for value in values:
        name, _, number = value.partition("=")
        if name not in Limits.names() or not number.isdecimal():
            known = ", ".join(f"{name}=NUMBER" for name in Limits.names())
            raise click.BadParameter(f"{value!r} is none of {known}")
        limits[name] = int(number)
    return limits


def _of_a_run(command: Command) -> Command:
    """The argument and the options that say what is run, and under what conditions."""
    for option in reversed(
        (
            click.argument("folder", metavar="ENTRY", type=_folder),
            _images("--queries", help="A folder of images, or a manifest (.csv), whose queries are taken."),
            _images("--references", help="A folder of images, or a manifest (.csv), whose references are taken."),
            click.option("--freeze", type=_file, help="Run ENTRY only if it is what was frozen in this file."),
            click.option("--weights", multiple=True, type=_file, help="With --freeze: a frozen file of weights."),
            click.option("--environment", type=_file, help="With --freeze: the frozen file that pins all packages."),
            click.option(
                "--limit",
                "limits",
                multiple=True,
                metavar="NAME=NUMBER",
                callback=_limits,
                help=f"Instead of what ENTRY says: {', '.join(Limits.names())}. May be repeated.",
            ),
            click.option(
                "--readable",
                multiple=True,
                type=_folder,
                help="Let the entry read this folder, such as an environment of its own. May be repeated.",
            ),
            click.option(
                "--allow-network",
                is_flag=True,
                help="Run without the sandbox: the network, and all that you may read, is open to the entry.",
            ),
            click.option(
                "--scratch",
                type=_folder,
                help="Where runs may write; best on the file system of the images.  [default: where the result goes]",
            ),
        )
    ):
        command = option(command)
    return command


@click.command()
@_of_a_run
@click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The submission to write."
)
@options.json_option
def run(
    folder: Path,
    queries: str,
    references: str,
    freeze: Path | None,
    weights: tuple[Path, ...],
    environment: Path | None,
    limits: dict[str, int],
    readable: tuple[Path, ...],
    allow_network: bool,
    scratch: Path | None,
    output: Path,
    as_json: bool,
) -> int:
    """Run the code of ENTRY on images, without network, and keep the submission that it writes.

    \b
    ENTRY is a folder of code with a file entry.toml, such as
        command = ["python", "match.py", "{queries}", "{references}", "{output}"]
        [limits]
        seconds = 172800
        memory_mib = 16384

    It sees the system's programs, the Python that runs Ectype, its code and the images, none of which it can change,
    and has a home and a /tmp of its own. What it prints is kept beside the submission.
    """
    entry = read_entry(folder)
    digest = _digest_of_freeze(freeze, entry, weights, environment)
    conditions = Conditions(replace(entry.limits, **limits), allow_network, readable)
    images = Images(find_images(queries, "query"), find_images(references, "reference"))
    report = replace(run_entry(entry, images, conditions, output, scratch), freeze=digest)
    if as_json:
        print_json(report.to_dict())
    else:
        print_figures(str(output), _figures(report))
    return DONE


def _digest_of_freeze(
    freeze: Path | None, entry: Entry, weights: tuple[Path, ...], environment: Path | None
) -> str | None:
    if freeze is None and not weights and environment is None:
        return None
    if freeze is None or environment is None:
        raise UsageError("--freeze and --environment, and with them --weights, go together")
    return require_frozen(freeze, EntryParts(entry.folder, weights, environment))


def _figures(report: RunReport) -> dict[str, str]:
    return {
        "queries": f"{report.queries:,}",
        "references": f"{report.references:,}",
        "pairs": f"{report.pairs:,}",
        "time": f"{report.seconds:,.1f} s, {1000 * report.seconds_per_query:,.1f} ms a query",
        "peak memory": f"{report.peak_memory / 2**20:,.0f} MiB",
        "network": "open" if report.network else "none",
        "freeze": report.freeze or "not compared",
    }


@click.command()
@_of_a_run
@click.option(
    "--submission", type=_file, help="What ENTRY wrote for these images.  [default: it is run on them once more]"
)
@click.option("--seed", type=int, default=0, show_default=True, help="Decides which images are drawn.")
@_count("--subsets", default=3, help="Runs on a quarter to a half of the queries.")
@_count("--singles", default=5, help="Runs on one query.")
@_count("--chunks", default=3, help="Parts of the references, each with a run of its own.")
@click.option(
    "--tolerance",
    type=float,
    default=1e-6,
    show_default=True,
    help="How far scores of one pair may differ, relative to the larger one.",
)
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    type=click.Path(dir_okay=False),
    help="Where to write: .json or .html with pictures. May be repeated.",
)
@options.json_option
def audit(
    folder: Path,
    queries: str,
    references: str,
    freeze: Path | None,
    weights: tuple[Path, ...],
    environment: Path | None,
    limits: dict[str, int],
    readable: tuple[Path, ...],
    allow_network: bool,
    scratch: Path | None,
    submission: Path | None,
    seed: int,
    subsets: int,
    singles: int,
    chunks: int,
    tolerance: float,
    outputs: tuple[str, ...],
    as_json: bool,
) -> int:
    """Check that every score of ENTRY depends on its query and its reference alone.

    ENTRY is run on all images, twice; under other names, in another order; on some of the queries, on single ones; and
    with parts of the references. Each time a pair must get the same score. What it keeps in files is gone after each
    run.

    \b
    Exit codes: 0 no breach was found; 1 no score changed, but pairs are missing that should be there;
    3 a score changed, or ENTRY failed on a part of the images. The report shows the pairs.
    """
    settings = AuditSettings(seed, subsets, singles, chunks, tolerance)
    images = Images(find_images(queries, "query"), find_images(references, "reference"))
    writers = [(path, _writer_for(path, images)) for path in outputs]
    for path in outputs:
        check_folder_of(path)  # better now than after an hour's work
    entry = read_entry(folder)
    digest = _digest_of_freeze(freeze, entry, weights, environment)
    conditions = Conditions(replace(entry.limits, **limits), allow_network, readable)
    place = scratch or Path(outputs[0] if outputs else "report").absolute().parent
    with progress("auditing", number_of_runs(images, settings, with_submission=submission is not None)) as on_progress:
        report = audit_entry(entry, images, conditions, settings, place, submission, on_progress)
    report = replace(report, freeze=digest)
    for path, write in writers:
        write(path, report)
    if as_json:
        print_json(report.to_dict())
    else:
        _print_report(report)
    return _CODES.get(report.verdict, INVALID_DATA)


def _writer_for(path: str, images: Images) -> Callable[[str, AuditReport], None]:
    writers: dict[str, Callable[..., None]] = {
        ".json": _write_json,
        ".html": partial(write_audit_page, images=images),
    }
    return writer_for(path, writers, "audits")


def _write_json(path: str, report: AuditReport) -> None:
    write_json(path, report.to_dict())


def _print_report(report: AuditReport) -> None:
    columns = ("probe", "queries", "references", "compared", "changed", "missing")
    print_rows(columns, [_row(result) for result in report.results])
    click.echo(report.sentence)


def _row(result: ProbeResult) -> tuple[str, ...]:
    probe, comparison = result.probe, result.comparison
    counts = (
        ("it failed", "", "")
        if comparison is None
        else (f"{len(comparison.scores):,}", f"{comparison.changed:,}", f"{comparison.missing:,}")
    )
    return (probe.name, f"{len(probe.queries):,}", f"{len(probe.references):,}", *counts)


COMMANDS: tuple[click.Command, ...] = (run, audit)
