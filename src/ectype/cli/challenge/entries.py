"""``ectype challenge freeze`` and ``submit``."""

from __future__ import annotations

import click

COMMANDS: tuple[click.Command, ...] = ()
