"""What every command prints: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from ectype.errors import UsageError
from ectype.types import OnProgress, SkippedImage

DONE, DONE_WITH_SKIPS, WRONG_USAGE, INVALID_DATA, INTERRUPTED = 0, 1, 2, 3, 130
Writer = TypeVar("Writer", bound=Callable[..., None])

_WIDE = 100_000  # a file or pipe has no edge: nothing may be wrapped or cut
_SECONDS_BETWEEN_LINES = 20.0


def writer_for(path: str, writers: Mapping[str, Writer], what: str) -> Writer:
    """The writer that belongs to a path's extension; raises `UsageError` for one that has none."""
    try:
        return writers[Path(path).suffix.lower()]
    except KeyError:
        raise UsageError(f"{path}: {what} are written as {', '.join(writers)}") from None


def console(*, stderr: bool = False) -> Console:
    """A console that is as wide as the terminal, or as wide as its content where there is none."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else _WIDE, highlight=False)


def print_json(content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print one JSON value on standard output."""
    click.echo(json.dumps(content, ensure_ascii=False, indent=2))


def print_json_list(rows: Iterable[Any]) -> None:
    """Print a JSON list on standard output, row by row: it may be long."""
    click.echo("[", nl=False)
    for number, row in enumerate(rows):
        click.echo(("," if number else "") + "\n  " + json.dumps(row, ensure_ascii=False), nl=False)
    click.echo("\n]")


def print_figures(title: str, figures: Mapping[str, object]) -> None:
    """Print names with values, one a line."""
    output = console()
    if not output.is_terminal:  # a table would fill all lines with spaces to the length of the longest
        width = max(map(len, figures), default=0)
        click.echo("\n".join((title, *(f"{name:{width}}  {value}" for name, value in figures.items()))))
        return
    table = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in figures.items():
        table.add_row(name, Text(str(value)))
    output.print(table)


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> None:
    """Print rows as a table."""
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(Text(value, overflow="fold") for value in row))
    console().print(table)


def print_skipped(skipped: Sequence[SkippedImage]) -> None:
    """Print the skip report, if there is anything in it."""
    if skipped:
        rows = [(row.location, row.code, row.reason) for row in skipped]
        print_rows(("skipped image", "code", "reason"), rows, title=f"{len(skipped)} images were skipped")


def skipped_to_json(skipped: Sequence[SkippedImage]) -> list[dict[str, str]]:
    """The skip report as JSON values."""
    return [asdict(row) for row in skipped]


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:,.0f}/s")


@contextmanager
def progress(what: str, total: int) -> Iterator[OnProgress]:
    """Show progress on standard error: a bar in a terminal, elsewhere a line every 20 seconds."""
    errors = console(stderr=True)
    if not errors.is_terminal:
        yield _LinesOfProgress(what, total)
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


class _LinesOfProgress:
    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._start = self._last = time.monotonic()

    def __call__(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if not self._done or now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last = now
        rate = self._done / (now - self._start)
        left = (self._total - self._done) / rate
        click.echo(f"{self._what}: {self._done:,} of {self._total:,}, {rate:,.0f}/s, {left:,.0f} s left", err=True)
