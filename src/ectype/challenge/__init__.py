"""Image Similarity Challenges: their data, tracks, phases, entries, ledger and releases."""
