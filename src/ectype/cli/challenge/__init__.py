"""``ectype challenge``: one file for each chapter of a challenge's story."""

from __future__ import annotations

import click

from ectype.cli.challenge import audit, data, entries, hosting, releases, results, tracks

_CHAPTERS: dict[str, tuple[click.Command, ...]] = {
    "Make the data and hand it out": (*data.COMMANDS, *releases.COMMANDS),
    "Open a challenge and follow it": hosting.COMMANDS,
    "Prepare a submission and check it": tracks.COMMANDS,
    "Freeze an entry and submit": entries.COMMANDS,
    "Run frozen entries and audit them": audit.COMMANDS,
    "Rank": results.COMMANDS,
}


class _Story(click.Group):
    """A group whose help lists its commands in the order in which a challenge needs them."""

    def list_commands(self, context: click.Context) -> list[str]:
        return [command.name or "" for commands in _CHAPTERS.values() for command in commands]

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        for chapter, commands in _CHAPTERS.items():
            if not commands:
                continue
            with formatter.section(chapter):
                formatter.write_dl([(command.name or "", command.get_short_help_str(90)) for command in commands])


@click.group(cls=_Story)
def challenge() -> None:
    """Run an Image Similarity Challenge, or enter one: both tracks, both phases, by the rules.

    A host makes the data, hands it out, and opens the challenge. Teams prepare submissions and check them with the code
    that scores them. Before phase 2 every entry is frozen; then it runs on queries nobody has seen, and is audited:
    each score must depend on its query and its reference alone.
    """


for _commands in _CHAPTERS.values():
    for _command in _commands:
        challenge.add_command(_command)
