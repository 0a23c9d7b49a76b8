"""The page of a leaderboard: for each track, the places with their scores, and the scores as bars."""

from __future__ import annotations

import io
from importlib import resources
from pathlib import Path

from ectype import __version__
from ectype.challenge.leaderboard import Board, Leaderboard
from ectype.reports import data_uri
from ectype.storage import replacing

BARS_SHOWN = 25
_PRIZE, _OTHER, _RECALL = "#c98a00", "#1f5fa8", "#c0392b"


def write_board_page(path: str | Path, leaderboard: Leaderboard) -> None:
    """Write a leaderboard as one page that needs no network.

    Raises
    ------
    StorageError
        The disk refused.
    """
    import jinja2

    source = (resources.files("ectype.challenge") / "board.html").read_text("utf-8")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)
    page = template.render(
        leaderboard=leaderboard,
        pictures={board.track: _picture(board) for board in leaderboard.boards if board.rows},
        revealed=any(row.hidden is not None for board in leaderboard.boards for row in board.rows),
        version=__version__,
    )
    with replacing(path) as temporary:
        temporary.write_text(page, "utf-8")


def _picture(board: Board) -> str:
    """The scores of the first 25 teams as bars, from the first place down; a data URI."""
    from matplotlib.figure import Figure

    rows = board.rows[:BARS_SHOWN]
    places = range(len(rows))
    figure = Figure(figsize=(6.4, 1.2 + 0.32 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    scores = [row.score.micro_average_precision for row in rows]
    axes.barh(places, scores, color=[_OTHER if row.prize is None else _PRIZE for row in rows], height=0.7)
    reached = [
        (row.score.recall_at_p90, place) for place, row in enumerate(rows) if row.score.recall_at_p90 is not None
    ]
    if reached:
        axes.plot(
            *zip(*reached, strict=True), "o", color=_RECALL, markeredgecolor="white", label="recall at precision 90"
        )
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False, borderaxespad=0.2, fontsize="small")
    for place, score in enumerate(scores):
        axes.annotate(
            f" {score:.3f}", (score, place), va="center", ha="left" if score < 0.85 else "right", fontsize="small"
        )
    axes.set_yticks(places, [_label(row.team) for row in rows])
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6), xlabel="micro-average precision")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=150)
    return data_uri(picture.getvalue(), "image/png")


def _label(team: str) -> str:
    """A name that matplotlib does not take for a formula, nor draws across the whole picture."""
    return (team if len(team) <= 20 else f"{team[:19]}…").replace("$", r"\$")
