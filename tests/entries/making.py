"""Entries and images for tests: a script of this folder, with the honest one beside it, and an entry.toml."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from conftest import draw_picture
from ectype.challenge.running.entry import Entry, read_entry
from ectype.challenge.running.staging import Images, find_images

ISOLATED = (
    subprocess.run(
        [sys.executable, "-c", "from ectype.challenge.running.namespaces import enter; enter()"],
        stderr=subprocess.DEVNULL,
        check=False,
    ).returncode
    == 0
)
"""Whether this machine lets entries have namespaces of their own."""


def make_entry(root: Path, name: str, *arguments: str, limits: str = "") -> Entry:
    folder = root / "entries" / name
    folder.mkdir(parents=True, exist_ok=True)
    for script in {name, "average_hash"}:
        shutil.copy(Path(__file__).with_name(f"{script}.py"), folder)
    command = ["python", f"{name}.py", *arguments, "{queries}", "{references}", "{output}"]
    (folder / "entry.toml").write_text(f"command = {json.dumps(command)}\n[limits]\n{limits}\n")
    return read_entry(folder)


def make_images(root: Path, queries: int = 24, references: int = 30) -> Images:
    """Drawn pictures of 64 pixels; each query's is the first reference's, and so on. Later ones have later times."""
    for folder, letter, count in (("queries", "Q", queries), ("references", "R", references)):
        (root / folder).mkdir()
        for number in range(count):
            path = root / folder / f"{letter}{number:05}.png"
            draw_picture(number, (64, 64)).save(path)
            os.utime(path, (1_000_000_000 + number, 1_000_000_000 + number))
    return Images(find_images(root / "queries", "query"), find_images(root / "references", "reference"))
