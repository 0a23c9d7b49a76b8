"""``ectype challenge publish``, ``fetch``, ``seal`` and ``unseal``."""

from __future__ import annotations

import click

COMMANDS: tuple[click.Command, ...] = ()
