"""``ectype challenge make``."""

from __future__ import annotations

import click

COMMANDS: tuple[click.Command, ...] = ()
