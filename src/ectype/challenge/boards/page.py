"""The page of a leaderboard: for each track, the places with their scores, and the scores as bars."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from ectype import __version__
from ectype.challenge.boards.leaderboard import Leaderboard
from ectype.storage import replacing

BARS_SHOWN = 25


def write_board_page(path: str | Path, leaderboard: Leaderboard) -> None:
    """Write a leaderboard as one page that needs no network. Bars are drawn for the first 25 teams.

    Raises
    ------
    StorageError
        The disk refused.
    """
    import jinja2

    source = (resources.files("ectype.challenge.boards") / "board.html").read_text("utf-8")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)
    page = template.render(
        leaderboard=leaderboard,
        most=BARS_SHOWN,
        revealed=any(row.hidden is not None for board in leaderboard.boards for row in board.rows),
        version=__version__,
    )
    with replacing(path) as temporary:
        temporary.write_text(page, "utf-8")
