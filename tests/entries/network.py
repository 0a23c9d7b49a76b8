"""A cheat: asks another machine; the port stands in a file, as its address would."""

import socket
import sys
from pathlib import Path

from average_hash import arguments, hashes, scores_of, write_best

query_folder, reference_folder, output = arguments()
query_ids, query_hashes = hashes(query_folder)
reference_ids, reference_hashes = hashes(reference_folder)
scores = scores_of(query_hashes, reference_hashes)
port = int(Path("port.txt").read_text())
try:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    sys.stdout.write("somebody answered")
except OSError as error:
    sys.stdout.write(f"nobody answered: {error}")
write_best(output, query_ids, reference_ids, scores)
