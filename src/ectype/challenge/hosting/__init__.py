"""Hosting a challenge: its settings and rules, the ledger of what happened, and what stands after it."""
