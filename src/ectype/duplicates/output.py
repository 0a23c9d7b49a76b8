"""The report as a JSON value and as a table."""

from __future__ import annotations

import csv
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ectype.duplicates.records import Contradiction, DuplicateReport, DuplicateSet, FoundPair, HeldImage
from ectype.storage import replacing

COLUMNS = ("set", "role", "id", "location", "width", "height", "bytes", "sha256", "why")


def to_json(report: DuplicateReport) -> dict[str, Any]:
    """The report as JSON values."""
    return {
        "images": report.images,
        "compared": report.compared,
        "state": str(report.state),
        "sets": [_set_to_json(one) for one in report.sets],
        "review": [_pair_to_json(pair) for pair in report.review],
        "contradictions": [_contradiction_to_json(one) for one in report.contradictions],
        "skipped": [asdict(row) for row in report.skipped],
    }


def _set_to_json(one: DuplicateSet) -> dict[str, Any]:
    return {
        "id": one.original.id,
        "original": one.original.id,
        "why": one.why,
        "members": [_image_to_json(image) for image in one.members],
        "pairs": [_pair_to_json(pair) for pair in one.pairs],
    }


def _contradiction_to_json(one: Contradiction) -> dict[str, Any]:
    return {
        "members": [_image_to_json(image) for image in one.members],
        "chains": [list(chain) for chain in one.chains],
        "pairs": [_pair_to_json(pair) for pair in one.pairs],
    }


def _image_to_json(image: HeldImage) -> dict[str, Any]:
    names = ("id", "location", "width", "height", "bytes", "sha256")
    return {name: getattr(image, name) for name in names}


def _pair_to_json(pair: FoundPair) -> dict[str, Any]:
    return {"ids": [pair.first_id, pair.second_id], "score": pair.score, "source": pair.source}


def write_sets(path: str | Path, report: DuplicateReport) -> None:
    """Write the sets as CSV, a row for each image; those of a set stand together, its suggested original first.

    Raises
    ------
    StorageError
        The disk refused.
    """
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for number, one in enumerate(report.sets, 1):
            for image in one.members:
                role, why = ("original", one.why) if image is one.original else ("copy", "")
                size = (image.width, image.height, image.bytes)
                writer.writerow((number, role, image.id, image.location, *size, image.sha256, why))
