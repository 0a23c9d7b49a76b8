"""An honest entry: Ectype's bundled model, its descriptor alone, on a collection that is made anew each time."""

import sys
import tempfile
from pathlib import Path

from ectype import Collection, list_images, match_by_descriptor, write_matches

queries, references, output = map(Path, sys.argv[1:])
with Collection.create(Path(tempfile.mkdtemp()) / "references") as bank:
    bank.add(list_images([references]))
    write_matches(output, match_by_descriptor(bank, list_images([queries]), limit=5).matches)
