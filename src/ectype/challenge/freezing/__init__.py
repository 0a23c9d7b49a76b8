"""Freezing an entry: digests of its code, weights, environment and reference descriptors."""
