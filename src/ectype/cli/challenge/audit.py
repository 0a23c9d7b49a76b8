"""``ectype challenge run`` and ``audit``."""

from __future__ import annotations

import click

COMMANDS: tuple[click.Command, ...] = ()
