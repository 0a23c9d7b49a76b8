"""A cheat: refuses to work on few queries, so that no one finds out what it does with many."""

from average_hash import arguments, hashes, scores_of, write_best

query_folder, reference_folder, output = arguments()
query_ids, query_hashes = hashes(query_folder)
reference_ids, reference_hashes = hashes(reference_folder)
scores = scores_of(query_hashes, reference_hashes)
if len(query_ids) < 10:
    raise SystemExit("too few queries")
write_best(output, query_ids, reference_ids, scores)
