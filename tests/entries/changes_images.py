"""Writes to the images it is given."""

import sys
from pathlib import Path

queries, references, output = map(Path, sys.argv[1:])
for image in references.iterdir():
    image.write_bytes(bytes(image.stat().st_size))
output.write_text("query_id,reference_id,score\n")
