"""``ectype challenge leaderboard``, ``export``, ``disqualify`` and ``verify``."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import cast

import click

from ectype.challenge.boards.files import board_to_dict, write_board_csv, write_board_json
from ectype.challenge.boards.leaderboard import Board, Leaderboard
from ectype.challenge.boards.leaderboard import leaderboard as leaderboard_of
from ectype.challenge.boards.page import write_board_page
from ectype.challenge.hosting.host import Host
from ectype.challenge.hosting.refereeing import disqualify as disqualify_entry
from ectype.challenge.hosting.settings import PhaseNumber, as_utc_text
from ectype.challenge.hosting.verifying import verify_challenge
from ectype.cli import options
from ectype.cli.challenge.hosting import challenge_argument, host_of, now_option
from ectype.cli.output import DONE, INVALID_DATA, print_figures, print_json, print_rows, writer_for
from ectype.storage import check_folder_of

_WRITERS = {".csv": write_board_csv, ".json": write_board_json, ".html": write_board_page}
phase_option = click.option(
    "--phase",
    type=click.Choice(["1", "2"]),
    help="Whose board it is.  [default: 2 once it is over, 1 until then]",
)


@click.command()
@challenge_argument
@phase_option
@now_option
@options.json_option
def leaderboard(folder: str, phase: str | None, now: datetime | None, as_json: bool) -> int:
    """Show the boards: public scores in phase 1, final ones with prizes after phase 2.

    A team's best submission counts, by micro-average precision; of equal ones, the earlier is first.
    """
    with host_of(folder, now) as host:
        found = _leaderboard(host, phase)
    if as_json:
        print_json(board_to_dict(found))
    else:
        _print(found)
    return DONE


@click.command()
@challenge_argument
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    required=True,
    type=click.Path(dir_okay=False),
    help="Where to write: .csv, .json, or .html with a picture. May be repeated.",
)
@phase_option
@now_option
@options.json_option
def export(folder: str, outputs: tuple[str, ...], phase: str | None, now: datetime | None, as_json: bool) -> int:
    """Write the boards to files."""
    writers = [(path, writer_for(path, _WRITERS, "boards")) for path in outputs]
    for path in outputs:
        check_folder_of(path)
    with host_of(folder, now) as host:
        found = _leaderboard(host, phase)
    for path, write in writers:
        write(path, found)
    if as_json:
        print_json({"phase": found.phase, "files": list(outputs)})
    else:
        click.echo(f"the boards of phase {found.phase} are in {', '.join(outputs)}")
    return DONE


def _leaderboard(host: Host, phase: str | None) -> Leaderboard:
    number = None if phase is None else cast(PhaseNumber, int(phase))
    return leaderboard_of(host.settings, host.standing(), host.ledger.now(), number)


@click.command()
@challenge_argument
@click.argument("team")
@click.option("--submission", type=int, help="Only this submission of the team, by its number.")
@click.option("--reason", required=True, help="Why; it is shown on the boards.")
@now_option
@options.json_option
def disqualify(folder: str, team: str, submission: int | None, reason: str, now: datetime | None, as_json: bool) -> int:
    """Take TEAM, or one of its submissions, out of the ranking. This can't be undone."""
    with host_of(folder, now) as host:
        disqualify_entry(host, team, reason, submission)
    if as_json:
        print_json({"team": team, "submission": submission, "reason": reason})
    else:
        what = f"team {team}" if submission is None else f"submission {submission} of team {team}"
        click.echo(f"{what} is disqualified: {reason}")
    return DONE


@click.command()
@challenge_argument
@click.option("--head", metavar="DIGEST", help="A head of the ledger that was published: it must still be in it.")
@options.json_option
def verify(folder: str, head: str | None, as_json: bool) -> int:
    """Check that nothing was changed since it was recorded.

    The ledger's chain must be whole, and settings, data, submissions and freezes must be the recorded ones. Exit code 3
    if something was changed. A ledger whose last events were cut off, or that was written anew as a whole, shows only
    against a head that was published before: name it with --head.
    """
    found = verify_challenge(Path(folder), head)
    if as_json:
        print_json({"ok": not found.problems, **asdict(found)})
    else:
        title = "all is as it was recorded" if not found.problems else "CHANGED since it was recorded:"
        print_figures(title, {"events": found.events, "head": found.head, "given times": found.given_times})
        for problem in found.problems:
            click.echo(f"  {problem}")
    return INVALID_DATA if found.problems else DONE


def _print(found: Leaderboard) -> None:
    for board in found.boards:
        print_rows(
            _columns(found), _rows(found, board), title=f"{found.challenge}: {board.track} track, {_title(found)}"
        )
    for sentence in found.disqualified:
        click.echo(f"disqualified: {sentence}")
    if found.unscored:
        click.echo(f"not scored yet: submission {', '.join(map(str, found.unscored))}; submit the same file again")
    if found.given_times:
        click.echo(f"a rehearsal: {found.given_times} events have a time that was given, not read from the clock")


def _title(found: Leaderboard) -> str:
    return "final" if found.phase == 2 else "public labels of phase 1"


def _columns(found: Leaderboard) -> tuple[str, ...]:
    last = ("prize",) if found.phase == 2 else ("on hidden labels",)
    return ("place", "team", "µAP", "R@P90", "submitted", "of", *last)


def _rows(found: Leaderboard, board: Board) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for row in board.rows:
        recall = row.score.recall_at_p90
        if found.phase == 1:
            last = "" if row.hidden is None else f"{row.hidden.micro_average_precision:.4f}"
        else:
            last = "not eligible" if not row.eligible else "" if row.prize is None else str(row.prize)
        rows.append(
            (
                str(row.place),
                row.team,
                f"{row.score.micro_average_precision:.4f}",
                "never" if recall is None else f"{recall:.4f}",
                as_utc_text(row.time),
                str(row.submissions),
                last,
            )
        )
    return rows


COMMANDS: tuple[click.Command, ...] = (leaderboard, export, disqualify, verify)
