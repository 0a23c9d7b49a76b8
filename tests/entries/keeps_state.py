"""A cheat: remembers in files how often it was run."""

import tempfile
from contextlib import suppress
from pathlib import Path

from average_hash import arguments, hashes, scores_of, write_best

query_folder, reference_folder, output = arguments()
query_ids, query_hashes = hashes(query_folder)
reference_ids, reference_hashes = hashes(reference_folder)
scores = scores_of(query_hashes, reference_hashes)
runs = 0
for folder in (Path(__file__).parent, Path.home(), Path(tempfile.gettempdir()), query_folder):
    with suppress(OSError), open(folder / "ectype-runs.txt", "a+") as file:
        file.seek(0)
        runs = max(runs, len(file.read()))
        file.write("x")
scores = scores + 0.01 * runs
write_best(output, query_ids, reference_ids, scores)
