"""The two tracks: what a submission is, and how one is made."""

from ectype.challenge.tracks.content import MOST_DIMENSIONS, MOST_ROWS, Track, track_of

__all__ = ["MOST_DIMENSIONS", "MOST_ROWS", "Track", "track_of"]
