"""Writes what is no submission; the first argument says what."""

import os
import sys
from pathlib import Path

kind, queries, references, output = sys.argv[1:]
if kind == "bytes":
    Path(output).write_bytes(os.urandom(1000))
elif kind == "score":
    Path(output).write_text(f"{os.listdir(queries)[0][:-4]},R00000,nan\n")
elif kind == "stranger":
    Path(output).write_text("Q99999,R00000,0.5\n")
elif kind == "link":
    os.symlink("/etc/passwd", output)
elif kind == "much":
    Path(output).write_bytes(b"x" * 2_000_000)
elif kind == "exit":
    sys.stdout.write("so far so good\n")
    sys.exit("the weights are missing")
elif kind == "rows":
    Path(output).write_text("Q00000,R00000,1\n" * 500_002)
elif kind == "file":
    Path(os.environ["TMPDIR"], "big.bin").write_bytes(b"x" * 2_000_000)
