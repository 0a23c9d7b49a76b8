"""Checking the ids of rows: sorted, each there once, and all that the manifest has."""

from __future__ import annotations

from collections.abc import Sequence

from ectype.challenge.tracks.descriptor_file import Part
from ectype.challenge.validation.problems import LONGEST_ID, Findings, shown


class IdCheck:
    """Sees the ids of a data set one after the other, and notes what is wrong with them.

    Parameters
    ----------
    findings : Findings
    part : {"query", "reference"}
    expected : sequence of str, optional
        All ids there must be; without it any will do.
    """

    def __init__(self, findings: Findings, part: Part, expected: Sequence[str] | None) -> None:
        self._findings, self._part = findings, part
        self._expected = None if expected is None else frozenset(expected)
        self._seen: dict[str, int] = {}  # the row of each
        self._last = b""

    def see(self, row: int, name: str) -> None:
        """Check the next id."""
        place = f"{self._part}_ids, row {row}"
        encoded = name.encode()
        if not name:
            self._findings.add("empty-id", place, "the id is empty")
        elif len(encoded) > LONGEST_ID:
            self._findings.add("overlong-id", place, f"the id is longer than {LONGEST_ID} bytes")
        elif self._expected is not None and name not in self._expected:
            self._findings.add(f"unknown-{self._part}", place, f"there is no {self._part} {shown(name)}")
        if encoded < self._last:
            self._findings.add("unsorted-ids", place, f"{shown(name)} stands after {shown(self._last.decode())}")
        earlier = self._seen.setdefault(name, row)
        if earlier != row:
            self._findings.add("repeated-id", place, f"{shown(name)} is in row {earlier} already")
        self._last = encoded

    def finish(self) -> None:
        """Note what was expected and never came."""
        missing = sorted((self._expected or frozenset()) - self._seen.keys())
        for name in missing:
            self._findings.add(f"missing-{self._part}", f"{self._part}_ids", f"{shown(name)} has no row")
