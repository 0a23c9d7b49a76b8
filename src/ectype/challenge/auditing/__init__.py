"""Auditing an entry: does every score depend on its query and its reference alone?"""
