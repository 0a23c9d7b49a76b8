"""``ectype challenge freeze`` and ``submit``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from ectype.challenge.freezing.freeze import (
    EntryParts,
    check_freeze,
    freeze_digest,
    freeze_entry,
    read_freeze,
    write_freeze,
)
from ectype.challenge.hosting.refereeing import record_freeze
from ectype.challenge.hosting.settings import as_utc_text
from ectype.challenge.hosting.submitting import Receipt
from ectype.challenge.hosting.submitting import submit as submit_file
from ectype.cli import options
from ectype.cli.challenge.hosting import challenge_argument, host_of, now_option
from ectype.cli.output import DONE, INVALID_DATA, print_figures, print_json, progress
from ectype.errors import UsageError
from ectype.storage import check_folder_of

_file = click.Path(exists=True, dir_okay=False)


@click.command()
@click.option("--team", help="Whose entry it is.")
@click.option("--code", type=click.Path(exists=True, file_okay=False), help="A git working tree, or another folder.")
@click.option("--weights", multiple=True, type=_file, help="A file of weights; may be repeated.")
@click.option("--environment", type=_file, help="The file that pins all packages, such as uv.lock.")
@click.option(
    "--descriptors", type=_file, help="For the Descriptor Track: a submission, whose reference vectors are frozen."
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Where to write the freeze.")
@click.option("--record", "made", metavar="FREEZE", type=_file, help="Record this freeze, which was made before.")
@click.option("--challenge", "folder", type=click.Path(file_okay=False), help="The challenge to record it in.")
@click.option("--check", "checked", metavar="FREEZE", type=_file, help="Tell what changed since this freeze was made.")
@now_option
@options.json_option
def freeze(
    team: str | None,
    code: str | None,
    weights: tuple[str, ...],
    environment: str | None,
    descriptors: str | None,
    output: str | None,
    made: str | None,
    folder: str | None,
    checked: str | None,
    now: datetime | None,
    as_json: bool,
) -> int:
    """Freeze an entry, by digests, so that it can be told from any other.

    They are of its code, its weights, the file that pins its environment, and its reference descriptors.

    \b
    A team freezes its entry:
      freeze --team T --code DIR --weights FILE --environment FILE -o freeze.json
    The host records the freeze before the deadline:
      freeze --record freeze.json --challenge CHALLENGE
    Anyone can tell whether an entry is still the frozen one; exit code 3 if not:
      freeze --check freeze.json --code DIR --weights FILE --environment FILE

    Of a git working tree, files that git ignores are left out, and everything else must be committed.
    """
    if checked is not None:
        return _check(checked, _parts(code, weights, environment, descriptors), as_json)
    if made is not None:
        frozen = read_freeze(made)
    elif team is not None:
        if output is not None:
            check_folder_of(output)
        frozen = freeze_entry(team, _parts(code, weights, environment, descriptors))
    else:
        raise UsageError("name the team with --team, or a freeze with --record or --check")
    if output is None and folder is None:
        raise UsageError("say where the freeze goes: -o FILE, --challenge CHALLENGE, or both")
    if output is not None:
        write_freeze(output, frozen)
    if folder is not None:
        with host_of(folder, now) as host:
            record_freeze(host, frozen)
    digest = freeze_digest(frozen)
    if as_json:
        print_json({"freeze": digest, "recorded": folder is not None, **frozen.to_dict()})
    else:
        figures = {
            "freeze": digest,
            "code": frozen.code.digest,
            "git tree": frozen.code.tree or "none",
            "weights": ", ".join(file.name for file in frozen.weights) or "none",
            "environment": frozen.environment.name,
            "reference vectors": frozen.references or "none",
            "recorded": f"in {folder}" if folder is not None else "not yet; hand it to the host before the deadline",
        }
        print_figures(f"entry of team {frozen.team}", figures)
    return DONE


def _parts(code: str | None, weights: tuple[str, ...], environment: str | None, descriptors: str | None) -> EntryParts:
    if code is None or environment is None:
        raise UsageError("name the parts of the entry: --code DIR --environment FILE, and --weights FILE for each file")
    return EntryParts(
        Path(code),
        tuple(Path(path) for path in weights),
        Path(environment),
        None if descriptors is None else Path(descriptors),
    )


def _check(path: str, parts: EntryParts, as_json: bool) -> int:
    changes = check_freeze(read_freeze(path), parts)
    if as_json:
        print_json({"unchanged": not changes, "changes": changes})
    else:
        click.echo("\n".join(changes) if changes else f"the entry is the one of {path}")
    return INVALID_DATA if changes else DONE


@click.command()
@challenge_argument
@click.argument("submission", type=_file)
@click.option("--team", required=True, help="Who submits; `ectype challenge register` enters a team.")
@click.option("--freeze", "frozen", metavar="DIGEST", help="The freeze of the entry that made it; needed in phase 2.")
@now_option
@options.json_option
def submit(folder: str, submission: str, team: str, frozen: str | None, now: datetime | None, as_json: bool) -> int:
    """Submit SUBMISSION, a file of either track, to CHALLENGE.

    It is validated, kept, counted and scored. Phase 1 tells the score on the public labels, phase 2 none until it is
    over. A submission that is refused does not count. If this is interrupted after the submission was counted, the same
    command completes it.
    """
    with host_of(folder, now) as host, progress("scoring, in hundredths", 100) as on_progress:
        receipt = submit_file(host, Path(submission), team, frozen, on_progress)
    if as_json:
        print_json(receipt.to_dict())
    else:
        _print_receipt(receipt)
    return DONE


def _print_receipt(receipt: Receipt) -> None:
    found = receipt.submission
    left = receipt.left
    figures = {
        "team": found.team,
        "time": as_utc_text(found.time),
        "sha256": found.sha256,
        "left": f"{left.in_all}" if left.today is None else f"{left.in_all}, {left.now} of them today",
    }
    if found.score is None:
        figures["score"] = "kept until phase 2 is over"
    else:
        recall = found.score.recall_at_p90
        figures["micro-average precision"] = f"{found.score.micro_average_precision:.4f} on the public labels"
        figures["recall at precision 90"] = "never reached" if recall is None else f"{recall:.4f}"
    print_figures(f"submission {found.number}: {found.track} track, phase {found.phase}", figures)


COMMANDS: tuple[click.Command, ...] = (freeze, submit)
