"""A cheat: says nothing about few queries."""

from average_hash import arguments, hashes, scores_of, write_best

query_folder, reference_folder, output = arguments()
query_ids, query_hashes = hashes(query_folder)
reference_ids, reference_hashes = hashes(reference_folder)
scores = scores_of(query_hashes, reference_hashes)
if len(query_ids) < 10:
    query_ids, scores = [], scores[:0]
write_best(output, query_ids, reference_ids, scores)
