"""The page of a leaderboard: for each track, the places with their scores, and the scores as bars."""

from __future__ import annotations

from pathlib import Path

from ectype.challenge.boards.leaderboard import Leaderboard
from ectype.reports import write_page

BARS_SHOWN = 25


def write_board_page(path: str | Path, leaderboard: Leaderboard) -> None:
    """Write a leaderboard as one page that needs no network. Bars are drawn for the first 25 teams.

    Raises
    ------
    StorageError
        The disk refused.
    """
    revealed = any(row.hidden is not None for board in leaderboard.boards for row in board.rows)
    content = {"leaderboard": leaderboard, "most": BARS_SHOWN, "revealed": revealed}
    write_page(path, "ectype.challenge.boards", "board.html", content)
