"""python -m ectype_training: see its --help."""

from __future__ import annotations

import sys

from ectype_training.commands import run

if __name__ == "__main__":
    sys.exit(run())
