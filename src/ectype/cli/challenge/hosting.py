"""``ectype challenge create``, ``open``, ``register`` and ``status``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from ectype.challenge.hosting.host import Host
from ectype.challenge.hosting.ledger import clock_at
from ectype.challenge.hosting.opening import PUBLIC_LABELS_FILE, open_challenge
from ectype.challenge.hosting.phases import Allowance
from ectype.challenge.hosting.refereeing import register_team
from ectype.challenge.hosting.settings import as_utc_text
from ectype.challenge.hosting.status import Status, TeamStatus, status_of
from ectype.challenge.hosting.template import create_challenge
from ectype.cli import options
from ectype.cli.output import DONE, print_figures, print_json, print_rows


def _as_moment(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise click.BadParameter(f"{value}: is no time with its time zone, such as 2021-10-26T00:00:00Z")
    return moment


challenge_argument = click.argument("folder", metavar="CHALLENGE", type=click.Path(file_okay=False))
now_option = click.option(
    "--now",
    metavar="TIME",
    callback=_as_moment,
    hidden=True,
    help="For rehearsals: the time to go by. Whatever is recorded says that it was given.",
)


def host_of(folder: str, now: datetime | None) -> Host:
    """The open challenge in a folder, at the time of the clock or a given one."""
    return Host(Path(folder), clock_at(now), time_given=now is not None)


@click.command()
@challenge_argument
@click.option("--name", help="The challenge's name.  [default: the folder's]")
@click.option(
    "--data",
    default="data",
    show_default=True,
    help="Folder that `ectype challenge make` wrote; absolute or relative to CHALLENGE.",
)
@now_option
@options.json_option
def create(folder: str, name: str | None, data: str, now: datetime | None, as_json: bool) -> int:
    """Make the folder CHALLENGE with its settings, challenge.toml.

    Phase 1 begins tomorrow and lasts 90 days, entries are frozen within the 5 days after it, and phase 2 is 48 hours
    long. Change what you like, then open the challenge.
    """
    path = create_challenge(Path(folder), name or Path(folder).absolute().name, data, clock_at(now)())
    if as_json:
        print_json({"settings": str(path)})
    else:
        click.echo(f"{path}: look through it, then: ectype challenge open {folder}")
    return DONE


@click.command("open")
@challenge_argument
@now_option
@options.json_option
def open_(folder: str, now: datetime | None, as_json: bool) -> int:
    """Check everything a challenge needs, and open it.

    All problems are told at once. From the opening on, settings and data must not change. The labels that are public
    go to public_ground_truth.csv. Publish the head of the ledger that is printed: with it, anyone can check later that
    nothing recorded before was changed.
    """
    head = open_challenge(Path(folder), clock_at(now), time_given=now is not None)
    labels = Path(folder) / PUBLIC_LABELS_FILE
    if as_json:
        print_json({"head": head, "public_labels": str(labels)})
    else:
        print_figures(f"{folder} is open", {"public labels": labels, "head of the ledger": head})
    return DONE


@click.command()
@challenge_argument
@click.argument("team")
@click.option("--not-eligible", is_flag=True, help="The team has a place on the boards, but wins no prize.")
@now_option
@options.json_option
def register(folder: str, team: str, not_eligible: bool, now: datetime | None, as_json: bool) -> int:
    """Enter TEAM, which can submit from then on."""
    with host_of(folder, now) as host:
        register_team(host, team, eligible=not not_eligible)
    if as_json:
        print_json({"team": team, "eligible": not not_eligible})
    else:
        click.echo(f"team {team} is registered" + (", without prizes" if not_eligible else ""))
    return DONE


@click.command()
@challenge_argument
@now_option
@options.json_option
def status(folder: str, now: datetime | None, as_json: bool) -> int:
    """Tell where a challenge stands, what comes next, and what teams may still submit."""
    with host_of(folder, now) as host:
        found = status_of(host.settings, host.standing(), host.ledger.now())
    if as_json:
        print_json(found.to_dict())
    else:
        _print_status(found)
    return DONE


def _print_status(found: Status) -> None:
    figures: dict[str, object] = {"now": as_utc_text(found.now), "stage": found.state.stage}
    if found.state.until is not None:
        figures["next"] = f"{found.state.following}, at {as_utc_text(found.state.until)}"
    if found.unscored:
        numbers = ", ".join(str(one.number) for one in found.unscored)
        figures["not scored"] = f"submission {numbers}; submitting the same file again completes it"
    if found.given_times:
        figures["rehearsal"] = f"{found.given_times} events have a time that was given"
    print_figures(found.challenge, figures)
    tracks = next(iter(found.teams)).left.keys() if found.teams else ()
    print_rows(
        (
            "team",
            *(f"left in phase {found.phase}, {track} track" for track in tracks),
            "accepted",
            "refused",
            "freezes",
            "",
        ),
        [
            (
                one.team.name,
                *map(_left, one.left.values()),
                str(one.submissions),
                str(one.refused),
                "\n".join(one.freezes),
                _remark(one),
            )
            for one in found.teams
        ],
    )


def _left(left: Allowance) -> str:
    return str(left.in_all) if left.today is None else f"{left.in_all}, {left.now} today"


def _remark(one: TeamStatus) -> str:
    if one.team.disqualified is not None:
        return f"disqualified: {one.team.disqualified}"
    return "" if one.team.eligible else "not eligible for prizes"


COMMANDS: tuple[click.Command, ...] = (create, open_, register, status)
