"""Boards: who stands where, as pure functions of the ledger, and the files that show it."""
