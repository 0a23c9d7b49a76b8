"""``ectype models``: the descriptor models on this machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ectype.cli import options
from ectype.cli.output import (
    DONE,
    DONE_WITH_SKIPS,
    INVALID_DATA,
    print_figures,
    print_json,
    print_rows,
    progress,
)
from ectype.descriptors import ModelStore
from ectype.descriptors.finding import find_model
from ectype.descriptors.installed import InstalledModel, bundled_model
from ectype.descriptors.model_store import Addition
from ectype.descriptors.published import PUBLISHED, add_published
from ectype.errors import ModelError, UsageError

_FINGERPRINT_DIGITS = 12
_ADD_HELP = f"""Add a model, to use it by its name with --model.

\b
MODEL is an ONNX file with its card beside it, or one of these, which are
downloaded from their authors, checked, and converted to ONNX with PyTorch:
{", ".join(PUBLISHED)}."""


@click.group()
def models() -> None:
    """List, inspect, add and remove descriptor models."""


@models.command("list")
@options.json_option
def list_(as_json: bool) -> int:
    """List the bundled model and those that were added."""
    store = ModelStore()
    found, damaged = [bundled_model()], []
    for name in store.names():
        try:
            found.append(store.find(name))
        except ModelError as error:
            damaged.append(str(error))
    rows = [_summary(model) for model in found]
    if as_json:
        print_json({"folder": str(store.folder), "models": rows, "damaged": damaged})
    else:
        columns = ("name", "version", "input", "dimension", "fingerprint", "size", "")
        print_rows(columns, [_printed(row) for row in rows])
        if damaged:
            print_rows(("damaged model",), [(problem,) for problem in damaged])
        click.echo(f"models are added to {store.folder}", err=True)
    return DONE_WITH_SKIPS if damaged else DONE


def _summary(model: InstalledModel) -> dict[str, Any]:
    card = model.card
    return {
        "name": card.name,
        "version": card.version,
        "input_size": card.input_size,
        "dimension": card.dimension,
        "fingerprint": card.fingerprint,
        "bytes": model.size,
        "default": model.bundled,
    }


def _printed(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["name"],
        row["version"],
        f"{row['input_size']} px",
        str(row["dimension"]),
        row["fingerprint"][:_FINGERPRINT_DIGITS],
        f"{row['bytes'] / 1e6:,.1f} MB",
        "default" if row["default"] else "",
    )


@models.command()
@click.argument("model", metavar="NAME_OR_FILE")
@options.json_option
def info(model: str, as_json: bool) -> int:
    """Show the whole card of a model, where its file is, and whether it is the one of its card."""
    found = find_model(model)
    sound = found.is_sound()
    place = {"file": str(found.file), "bytes": found.size, "sound": sound, "default": found.bundled}
    result = asdict(found.card) | {"fingerprint": found.card.fingerprint} | place
    if as_json:
        print_json(result)
    else:
        verdict = "yes, its sha256 is the card's" if sound else "no, its sha256 is not the card's: damaged, or another"
        print_figures(found.name, result | {"sound": verdict})
    return DONE if sound else INVALID_DATA


@models.command(help=_ADD_HELP)
@click.argument("model", metavar="MODEL")
@click.option("--card", type=click.Path(), help="The card of an ONNX file, if it isn't beside it.")
@click.option("--file", "source", type=click.Path(), help="The authors' file, instead of downloading it.")
@click.option("--replace", is_flag=True, help="Take the place of another model of this name.")
@options.json_option
def add(model: str, card: str | None, source: str | None, replace: bool, as_json: bool) -> int:
    store = ModelStore()
    if model in PUBLISHED and (source is not None or not Path(model).exists()):
        if card is not None:
            raise UsageError(f"{model} has a card of its own; leave out --card")
        done = _add_published(model, store, source, replace)
    else:
        if source is not None:
            raise UsageError(f"--file is for published models ({', '.join(PUBLISHED)}), not for {model}")
        done = _add_file(Path(model), store, card, replace)
    place = {"file": str(done.model.file), "change": done.change}
    if as_json:
        print_json(_summary(done.model) | place)
    else:
        print_figures(f"model {done.model.name}: {done.change}", _summary(done.model) | place)
    return DONE


def _add_published(name: str, store: ModelStore, source: str | None, replace: bool) -> Addition:
    published = PUBLISHED[name]
    if source is not None:
        return add_published(published, store, source, replace=replace)
    with progress("downloading", published.size) as on_progress:
        return add_published(published, store, replace=replace, on_progress=on_progress)


def _add_file(file: Path, store: ModelStore, card: str | None, replace: bool) -> Addition:
    if not file.is_file():
        raise ModelError(
            f"{file}: there is no such model file, and no published model of this name; "
            f"there are {', '.join(PUBLISHED)}"
        )
    if file.suffix in (".pt", ".pth"):
        raise UsageError(
            f"{file}: not an ONNX file; `ectype models add {next(iter(PUBLISHED))} --file {file}`, if it "
            "is that one, converts it"
        )
    return store.add(file, card, replace=replace)


@models.command()
@click.argument("name")
@options.json_option
def remove(name: str, as_json: bool) -> int:
    """Delete a model that was added. Collections that were made with it keep their copy."""
    store = ModelStore()
    store.remove(name)
    if as_json:
        print_json({"removed": name, "models": store.names()})
    else:
        click.echo(f"model {name}: removed")
    return DONE
