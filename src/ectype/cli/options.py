"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import click

from ectype.images import DEFAULT_LIMITS, IMAGE_SUFFIXES

Command = TypeVar("Command", bound=Callable[..., Any])

IMAGES_HELP = f"""\b
IMAGES are files, folders (searched with their subfolders), .tar archives, lists
(.txt, .csv or .jsonl) or - for standard input. A file that can't be read is
reported and skipped. Formats: {" ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))}."""

images_argument = click.argument("images", nargs=-1, required=True)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON value on standard output, nothing else."
)
model_option = click.option(
    "--model",
    "model_path",
    metavar="NAME_OR_FILE",
    help="Instead of the default model: one that `ectype models list` names, or an ONNX file with its card beside it.",
)
runtime_option = click.option(
    "--runtime",
    type=click.Choice(["auto", "openvino", "onnxruntime"]),
    default="auto",
    show_default=True,
    help="The engine that runs the model.",
)
ids_option = click.option(
    "--ids",
    type=click.Choice(["name", "path"]),
    default="name",
    show_default=True,
    help="An image's id: its file name, or its path below the given folder; both without the extension.",
)


def limits_options(command: Command) -> Command:
    """--max-bytes and --max-pixels."""
    integer = partial(click.option, type=click.IntRange(min=1), show_default=True)
    command = integer("--max-pixels", default=DEFAULT_LIMITS.max_pixels, help="Skip images with more pixels.")(command)
    return integer("--max-bytes", default=DEFAULT_LIMITS.max_bytes, help="Skip files with more bytes.")(command)
