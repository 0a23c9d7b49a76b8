"""``ectype challenge create``, ``open`` and ``status``."""

from __future__ import annotations

import click

COMMANDS: tuple[click.Command, ...] = ()
