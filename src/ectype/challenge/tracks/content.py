"""What a submission holds, told from its content.

Matching Track: a CSV file ``query_id,reference_id,score``, at most 500,000 rows. Descriptor Track: an HDF5 file with
``query`` and ``reference``, float32 (n, d) of at most 256 dimensions, and ``query_ids`` and ``reference_ids``; rows are
sorted by id. (Papakipos et al., "Results and findings of the 2021 Image Similarity Challenge", 2022.)
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Literal

from ectype.errors import SubmissionError
from ectype.matching import MOST_PAIRS

Track = Literal["matching", "descriptor"]

MOST_ROWS = MOST_PAIRS
MOST_DIMENSIONS = 256

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def track_of(path: str | Path) -> Track:
    """The track a submission is for: a file that begins as HDF5 files do is for the Descriptor Track.

    Raises
    ------
    SubmissionError
        The file is missing, can't be read, or is no ordinary file.
    """
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise SubmissionError(f"{path}: not an ordinary file; a submission is one .csv or .h5 file")
        with open(path, "rb") as file:
            return "descriptor" if file.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE else "matching"
    except FileNotFoundError:
        raise SubmissionError(f"{path}: there is no such file") from None
    except OSError as error:
        raise SubmissionError(f"{path}: can't be read ({error.strerror}); check its path and permissions") from error
