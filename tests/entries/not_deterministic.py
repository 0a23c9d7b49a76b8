"""Not a cheat, but not to be repeated either: breaks ties by chance."""

import numpy as np
from average_hash import arguments, hashes, scores_of, write_best

query_folder, reference_folder, output = arguments()
query_ids, query_hashes = hashes(query_folder)
reference_ids, reference_hashes = hashes(reference_folder)
scores = scores_of(query_hashes, reference_hashes)
scores = scores + np.random.default_rng().random(scores.shape) / 1000
write_best(output, query_ids, reference_ids, scores)
