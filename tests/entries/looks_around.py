"""Tells what it can see and change, as JSON on standard output. The first argument is a file that it must not see."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

secret, queries, references, output = sys.argv[1:]


def can_write(folder: str) -> bool:
    try:
        Path(folder, "written.txt").write_text("x")
    except OSError:
        return False
    return True


def can_change(file: Path) -> bool:
    try:
        file.chmod(0o600)
        file.write_bytes(b"")
    except OSError:
        return False
    return True


json.dump(
    {
        "writable": {
            name: can_write(folder)
            for name, folder in {
                "code": os.curdir,
                "queries": queries,
                "home": os.environ["HOME"],
                "temporary": os.environ["TMPDIR"],
                "shared memory": "/dev/shm",  # noqa: S108  # a test of it
                "system": "/usr",
            }.items()
        },
        "changed an image": can_change(next(Path(references).iterdir())),
        "home": os.listdir(os.environ["HOME"]),
        "environment": sorted(os.environ),
        "processes": sum(name.isdigit() for name in os.listdir("/proc")),
        "sees the secret": os.path.exists(secret),
        "beside the queries": sorted(os.listdir(os.path.dirname(queries))),
        "privileges": re.findall(r"CapEff:\s*(\w+)", Path("/proc/self/status").read_text()),
        "python works": subprocess.run([sys.executable, "-c", "import numpy"], check=False).returncode == 0,
    },
    sys.stdout,
)
Path(output).write_text("query_id,reference_id,score\n")
