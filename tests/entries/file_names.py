"""A cheat: knows queries by their names."""

import zlib

import numpy as np
from average_hash import arguments, hashes, scores_of, write_best

query_folder, reference_folder, output = arguments()
query_ids, query_hashes = hashes(query_folder)
reference_ids, reference_hashes = hashes(reference_folder)
scores = scores_of(query_hashes, reference_hashes)
scores = scores + np.array([zlib.crc32(name.encode()) % 100 / 1000 for name in query_ids])[:, None]
write_best(output, query_ids, reference_ids, scores)
