"""``ectype challenge leaderboard``, ``export`` and ``disqualify``."""

from __future__ import annotations

import click

COMMANDS: tuple[click.Command, ...] = ()
