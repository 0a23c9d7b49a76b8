"""``ectype challenge describe``, ``match``, ``example``, ``validate`` and ``score``."""

from __future__ import annotations

import click

COMMANDS: tuple[click.Command, ...] = ()
