"""One picture of a pair, for people who look rather than read."""

from __future__ import annotations

import colorsys
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ectype.errors import InvalidDataError
from ectype.evidence import Decision, Points, Verification
from ectype.reports import canvas
from ectype.reports.canvas import Colour, Pixels
from ectype.reports.reasons import reasons
from ectype.storage import replacing
from ectype.types import Match

HEIGHT = 420
"""Of the pictures in the drawing, in pixels."""

DECISION_COLOURS: dict[Decision, Colour] = {
    "copy": (31, 95, 168),
    "review": (161, 98, 7),
    "different": (95, 102, 112),
}

_WIDEST = 1.6  # of the height
_NARROWEST = 640  # of a drawing with words, in pixels
_GAP, _MARGIN = 28, 24  # pixels
_LABELS_AT, _PICTURES_AT = 14, 40  # pixels from the top
_TITLE, _TEXT, _SMALL = 20, 18, 15  # pixels of type
_BADGE, _PAD, _INDENT = 32, 12, 18  # pixels
_LEADING = 1.45
_MOST_LINES = 60
_DIMMED = 0.6
_REGION: Colour = (255, 196, 0)
_TILES = 7  # of the checkerboard, along a square region's side
_TILE_SIDES = (10, 60)  # pixels


def draw_pair(query: Pixels, reference: Pixels, match: Match, *, height: int = HEIGHT, words: bool = True) -> Pixels:
    """Draw a query beside its reference, with the evidence that one was copied from the other.

    The parts that agree are outlined and joined by lines; in a third picture every other square of the
    reference is taken from the mapped query. A pair without verification is drawn without all that.

    Parameters
    ----------
    query, reference : ndarray of uint8, shapes (h, w, 3)
        RGB as displayed, at any scale.
    match : Match
        What was found for the two.
    height : int
        Of each picture, in pixels; very wide ones become lower.
    words : bool
        Whether to write the decision, the score and the reasons beneath.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)

    Raises
    ------
    InvalidDataError
        A picture has other proportions than the one that was verified.
    """
    found = match.evidence.verification if match.evidence is not None else None
    pictures = [canvas.fitted(pixels, height, round(_WIDEST * height)) for pixels in (query, reference)]
    if found is None:
        sizes = [(pixels.shape[1], pixels.shape[0]) for pixels in (query, reference)]
        panels = _in_a_row(pictures, [f"{name}, {_in_words(size)}" for name, size in zip(_NAMES, sizes, strict=True)])
        sheet = _sheet(panels)
    else:
        sheet = _verified(query, pictures, found)
    return _with_words(sheet, match) if words else sheet


def pair_png(query: Pixels, reference: Pixels, match: Match) -> bytes:
    """The drawing of `draw_pair` as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(draw_pair(query, reference, match)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def write_pair(path: str | Path, query: Pixels, reference: Pixels, match: Match) -> None:
    """Write the drawing of `draw_pair` as a PNG file.

    Raises
    ------
    InvalidDataError
        As for `draw_pair`.
    StorageError
        The disk refused.
    """
    content = pair_png(query, reference, match)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def shows(pixels: Pixels, size: tuple[int, int]) -> bool:
    """Whether `pixels` can be a picture of this width and height, at any scale."""
    height, width = pixels.shape[:2]
    return bool(abs(width * size[1] - height * size[0]) <= sum(size))  # either side may have been rounded


@dataclass(frozen=True, slots=True, eq=False)
class _Panel:
    """A picture that has its place on the sheet."""

    pixels: Pixels
    label: str
    left: int
    top: int

    def to_sheet(self, points: Points, size: tuple[int, int]) -> Points:
        return points * _scales(self.pixels, size) + (self.left, self.top)


_NAMES = ("query", "reference")


def _in_a_row(pictures: list[Pixels], labels: list[str]) -> list[_Panel]:
    panels, left = [], _MARGIN
    for pixels, label in zip(pictures, labels, strict=True):
        panels.append(_Panel(pixels, label, left, _PICTURES_AT))
        left += max(pixels.shape[1], round(canvas.font(_SMALL).getlength(label))) + _GAP
    return panels


def _sheet(panels: list[_Panel]) -> Pixels:
    """The panels, each with its label above it, on white."""
    last = panels[-1]
    right = last.left + max(last.pixels.shape[1], round(canvas.font(_SMALL).getlength(last.label)))
    lowest = max(panel.pixels.shape[0] for panel in panels)
    sheet = np.full((_PICTURES_AT + lowest + _MARGIN, right + _MARGIN, 3), 255, np.uint8)
    for panel in panels:
        rows, columns = panel.pixels.shape[:2]
        sheet[panel.top : panel.top + rows, panel.left : panel.left + columns] = panel.pixels
    image = Image.fromarray(sheet)
    for panel in panels:
        canvas.write(image, (panel.left, _LABELS_AT), panel.label, _SMALL, canvas.FAINT)
    return np.array(image)


def _verified(query: Pixels, pictures: list[Pixels], found: Verification) -> Pixels:
    sizes = (found.query_size, found.reference_size)
    for name, pixels, size in zip(_NAMES, pictures, sizes, strict=True):
        if not shows(pixels, size):
            raise InvalidDataError(
                f"the {name} is not the picture of {_in_words(size)} that was verified; give that one, or match again"
            )
    labels = [f"{name}, {_in_words(size)}" for name, size in zip(_NAMES, sizes, strict=True)]
    overlay = _laid_over(query, pictures[1], found)
    for pixels, region, size in zip(pictures, (found.query_region, found.reference_region), sizes, strict=True):
        region = region * _scales(pixels, size)
        canvas.dim_outside(pixels, region, _DIMMED)
        canvas.outline(pixels, region, _REGION)
    panels = _in_a_row([*pictures, overlay], [*labels, "squares of the query laid over the reference"])
    sheet = _sheet(panels)
    rows = np.argsort(found.query_points[:, 1], kind="stable")
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, _MOST_LINES).round().astype(int))]
    starts = panels[0].to_sheet(found.query_points[rows], found.query_size)
    ends = panels[1].to_sheet(found.reference_points[rows], found.reference_size)
    canvas.join(sheet, starts, ends, [_hue(number / len(rows)) for number in range(len(rows))])
    return sheet


def _laid_over(query: Pixels, reference: Pixels, found: Verification) -> Pixels:
    """The reference, dimmed where the query does not show it, with the mapped query in every other square."""
    height, width = reference.shape[:2]
    to_query = np.diag([*_scales(query, found.query_size), 1.0])
    to_panel = np.diag([*_scales(reference, found.reference_size), 1.0])
    laid, covered = canvas.warped(query, to_panel @ found.matrix @ np.linalg.inv(to_query), (width, height))
    region = found.reference_region * _scales(reference, found.reference_size)
    side = int(np.clip(np.sqrt(np.prod(np.ptp(region, axis=0))) / _TILES, *_TILE_SIDES))
    rows, columns = np.indices((height, width))
    taken = covered & ((rows // side + columns // side) % 2 == 0)
    overlay = reference.copy()
    overlay[taken] = laid[taken]
    edges = covered & ((rows % side == 0) | (columns % side == 0))
    overlay[edges] = overlay[edges] // 3 * 2 + 255 // 3  # or nobody would see squares that fit
    canvas.dim_outside(overlay, region, _DIMMED)
    canvas.outline(overlay, region, _REGION, thickness=1)
    return overlay


def _with_words(sheet: Pixels, match: Match) -> Pixels:
    width = max(sheet.shape[1], _NARROWEST)
    paragraphs = [canvas.wrapped(reason, _TEXT, width - 2 * _MARGIN - _INDENT) for reason in reasons(match)]
    leading = round(_TEXT * _LEADING)
    top = sheet.shape[0]
    y = top + _BADGE + _GAP // 2
    image = Image.new("RGB", (width, y + leading * sum(map(len, paragraphs)) + _MARGIN), "white")
    image.paste(Image.fromarray(sheet), (0, 0))
    _write_decision(image, (_MARGIN, top), match)
    for lines in paragraphs:
        canvas.disc(image, (_MARGIN + 4, y + _TEXT * 0.6), 3, canvas.FAINT)
        for line in lines:
            canvas.write(image, (_MARGIN + _INDENT, y), line, _TEXT)
            y += leading
    return np.asarray(image)


def _write_decision(image: Image.Image, at: tuple[int, int], match: Match) -> None:
    """The decision in a coloured pill, and the score beside it."""
    left, top = at
    if match.decision is None:
        canvas.write(image, (left, top + 5), f"similarity {match.score:.3f}", _TITLE)
        return
    word = match.decision.upper()
    right = left + round(canvas.font(_TEXT).getlength(word)) + 2 * _PAD
    canvas.pill(image, (left, top, right, top + _BADGE), DECISION_COLOURS[match.decision])
    canvas.write(image, (left + _PAD, top + 6), word, _TEXT, (255, 255, 255))
    canvas.write(image, (right + _PAD, top + 5), f"probability of a copy: {match.score:.3f}", _TITLE)


def _scales(pixels: Pixels, size: tuple[int, int]) -> NDArray[np.float64]:
    return np.array([pixels.shape[1] / size[0], pixels.shape[0] / size[1]])


def _in_words(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} pixels"


def _hue(turn: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(turn * 0.85, 0.75, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)
