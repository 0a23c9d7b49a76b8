"""The command ``ectype``: one file for each group of verbs, none of which holds logic."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from ectype import __version__
from ectype.cli.output import INTERRUPTED, INVALID_DATA, WRONG_USAGE
from ectype.errors import EctypeError, UsageError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="ectype")
def cli() -> None:
    """Find which image of a collection a query image was copied from, however it was edited.

    Exit codes: 0 done, 1 done but some items were skipped, 2 wrong usage, 3 invalid data or a disk that refuses,
    130 interrupted.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    _add_commands()
    try:
        return (
            cli.main(args=None if arguments is None else list(arguments), prog_name="ectype", standalone_mode=False)
            or 0
        )
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; everything finished so far is kept: run the same command again to go on", err=True)
        return INTERRUPTED
    except EctypeError as error:
        click.echo(f"error: {error}", err=True)
        return WRONG_USAGE if isinstance(error, UsageError) else INVALID_DATA


def _add_commands() -> None:
    from ectype.cli.calibrate import calibrate
    from ectype.cli.challenge import challenge
    from ectype.cli.collection import collection
    from ectype.cli.compare import compare
    from ectype.cli.demo import demo
    from ectype.cli.describe import describe
    from ectype.cli.duplicates import duplicates
    from ectype.cli.evaluate import evaluate
    from ectype.cli.match import match
    from ectype.cli.models import models

    for command in (calibrate, challenge, collection, compare, demo, describe, duplicates, evaluate, match, models):
        cli.add_command(command)


def entry_point() -> None:
    """What the installed command calls."""
    sys.exit(main())
