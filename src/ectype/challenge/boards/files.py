"""Boards as rows, CSV and JSON."""

from __future__ import annotations

import csv
from pathlib import Path

from ectype.challenge.boards.leaderboard import BoardRow, Leaderboard
from ectype.challenge.hosting.settings import as_utc_text
from ectype.storage import replacing, write_json

_COLUMNS = (
    "place",
    "prize",
    "team",
    "eligible",
    "micro_average_precision",
    "recall_at_p90",
    "hidden_micro_average_precision",
    "submission",
    "time",
    "submissions",
)


def board_to_dict(leaderboard: Leaderboard) -> dict[str, object]:
    """A leaderboard as JSON values."""
    return {
        "challenge": leaderboard.challenge,
        "phase": leaderboard.phase,
        "tracks": {board.track: [_row_to_dict(row) for row in board.rows] for board in leaderboard.boards},
        "disqualified": list(leaderboard.disqualified),
        "unscored": list(leaderboard.unscored),
        "given_times": leaderboard.given_times,
    }


def _row_to_dict(row: BoardRow) -> dict[str, object]:
    hidden = None if row.hidden is None else row.hidden.micro_average_precision
    values = (
        row.place,
        row.prize,
        row.team,
        row.eligible,
        row.score.micro_average_precision,
        row.score.recall_at_p90,
        hidden,
        row.submission,
        as_utc_text(row.time),
        row.submissions,
    )
    return dict(zip(_COLUMNS, values, strict=True))


def write_board_csv(path: str | Path, leaderboard: Leaderboard) -> None:
    """Write a row for each team and track.

    Raises
    ------
    StorageError
        The disk refused.
    """
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("track", *_COLUMNS), lineterminator="\n")
        writer.writeheader()
        for board in leaderboard.boards:
            writer.writerows({"track": board.track, **_row_to_dict(row)} for row in board.rows)


def write_board_json(path: str | Path, leaderboard: Leaderboard) -> None:
    """Write what `board_to_dict` gives.

    Raises
    ------
    StorageError
        The disk refused.
    """
    write_json(path, board_to_dict(leaderboard))
