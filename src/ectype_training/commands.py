"""The commands of ``python -m ectype_training``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ectype.descriptors import DescriptorModel, load_model
from ectype.descriptors.card import CARD_SUFFIX, read_card
from ectype.descriptors.preprocessing import square
from ectype.errors import EctypeError, InvalidDataError, UsageError
from ectype.images import ImageItem, list_images
from ectype.storage import write_json
from ectype.transformations import KINDS
from ectype_training.config import read_config
from ectype_training.photographs import decoded

if TYPE_CHECKING:
    from ectype_training.background import BackgroundLayer
    from ectype_training.onnx_export import Identity
    from ectype_training.student import Student


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 if it did what was asked, 1 with a message if not."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except EctypeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command resumes at the last checkpoint", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ectype_training", description="Train descriptors for copy detection."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    pack = commands.add_parser("pack", help="shrink photographs into shards")
    pack.add_argument("--images", nargs="+", required=True, metavar="DIR")
    pack.add_argument("--longest", type=int, default=240, help="pixels of the longer side (default: 240)")
    pack.add_argument("--shard-mib", type=float, default=60, help="size of a shard, at most (default: 60)")
    pack.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    pack.set_defaults(command=_pack)

    targets = commands.add_parser("targets", help="describe photographs with a teacher")
    targets.add_argument("--teacher", type=Path, required=True, help="an ONNX file: uint8 (n, size, size, 3) in")
    targets.add_argument("--size", type=int, required=True)
    targets.add_argument("--images", nargs="+", required=True, metavar="DIR")
    targets.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    targets.set_defaults(command=_targets)

    train = commands.add_parser("train", help="train, or resume a run")
    train.add_argument("--config", type=Path, required=True, metavar="FILE.toml")
    train.add_argument("--images", nargs="+", required=True, metavar="DIR", help="folders, .tar archives or lists")
    train.add_argument("--targets", type=Path, metavar="FILE.npz", help="a teacher's, for distillation")
    train.add_argument("--out", type=Path, required=True, metavar="RUN")
    train.set_defaults(command=_train)

    export = commands.add_parser("export", help="write a run's student as an ONNX file with its card")
    export.add_argument("--run", type=Path, required=True)
    export.add_argument("--images", nargs="+", required=True, metavar="DIR", help="to compare the file with PyTorch on")
    export.add_argument("--whiten", type=float, default=0.0, metavar="STRENGTH", help="0 to 1, fitted on the images")
    export.add_argument("--size", type=int, help="pixels a side; that of the training by default")
    export.add_argument("--name", required=True)
    export.add_argument("--version", required=True)
    export.add_argument("--licence", default="Apache-2.0")
    export.add_argument("--description", type=Path, required=True, metavar="FILE.txt", help="for the card")
    export.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    export.set_defaults(command=_export)

    average = commands.add_parser("average", help="write a model between two of one architecture")
    average.add_argument("--models", nargs=2, type=Path, required=True, metavar="FILE.onnx")
    average.add_argument("--share", type=float, default=0.5, help="of the second (default: 0.5)")
    average.add_argument(
        "--images", nargs="+", required=True, metavar="DIR", help="to compare the file with PyTorch on"
    )
    average.add_argument("--size", type=int, help="pixels a side; that of the first model by default")
    average.add_argument("--no-background", action="store_true", help="leave out theirs, to describe another")
    average.add_argument("--strength", type=float, help="of their background; as they have it by default")
    average.add_argument("--same", type=float, help="from which similarity a row of it counts no more; likewise")
    average.add_argument("--temperature", type=float, help="of the softmax over its rows; likewise")
    average.add_argument("--version", required=True)
    average.add_argument("--description", type=Path, required=True, metavar="FILE.txt", help="for the card")
    average.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    average.set_defaults(command=_average)

    narrow = commands.add_parser(
        "narrow", help="leave out channels that say next to nothing, which makes a model faster"
    )
    narrow.add_argument("--model", type=Path, required=True, metavar="FILE.onnx")
    narrow.add_argument("--images", nargs="+", required=True, metavar="DIR", help="the photographs of its training")
    narrow.add_argument(
        "--error",
        nargs="+",
        type=float,
        default=[0.01],
        help="of what a block gives, that may be lost: one for all blocks, or one for each (default: 0.01)",
    )
    narrow.add_argument("--version", required=True)
    narrow.add_argument("--description", type=Path, required=True, metavar="FILE.txt", help="for the card")
    narrow.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    narrow.set_defaults(command=_narrow)

    background = commands.add_parser("background", help="have a model subtract what pictures share with many others")
    background.add_argument("--model", type=Path, required=True, metavar="FILE.onnx")
    background.add_argument("--images", nargs="+", required=True, metavar="DIR", help="the photographs of its training")
    background.add_argument("--rows", type=int, default=4096, help="means of photographs alike (default: 4096)")
    background.add_argument("--version", required=True)
    background.add_argument("--description", type=Path, required=True, metavar="FILE.txt", help="for the card")
    background.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    background.set_defaults(command=_background)

    fit = commands.add_parser("bfloat16", help="have a model compute the same in bfloat16, which is twice as fast")
    fit.add_argument("--model", type=Path, required=True, metavar="FILE.onnx")
    fit.add_argument("--images", nargs="+", required=True, metavar="DIR", help="to compare both kinds of computing on")
    fit.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    fit.set_defaults(command=_bfloat16)

    insets = commands.add_parser("insets", help="have a model find the picture inside another")
    insets.add_argument("--model", type=Path, required=True, metavar="FILE.onnx")
    insets.add_argument("--images", nargs="+", required=True, metavar="DIR", help="the photographs of its training")
    insets.add_argument("--samples", type=int, default=60000, help="pictures made of them (default: 60000)")
    insets.add_argument("--epochs", type=int, default=12, help="how often each is learnt from (default: 12)")
    insets.add_argument("--version", required=True)
    insets.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    insets.set_defaults(command=_insets)

    queries = commands.add_parser("queries", help="make queries of photographs, to fit a calibration on")
    queries.add_argument("--images", nargs="+", required=True, metavar="DIR", help="photographs not trained on")
    queries.add_argument("--count", type=int, default=3000, help="half of them copies (default: 3000)")
    queries.add_argument("--most-edits", type=int, default=3, help="of one query (default: 3)")
    queries.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    queries.set_defaults(command=_queries)

    measure = commands.add_parser("evaluate", help="how well each kind of edit is seen through")
    measure.add_argument("--model", help="an ONNX file with its card; the bundled model by default")
    measure.add_argument("--run", type=Path, help="a training run instead")
    measure.add_argument("--images", nargs="+", required=True, metavar="DIR", help="photographs not trained on")
    measure.add_argument("--kinds", nargs="+", metavar="KIND", help="all by default")
    measure.add_argument("--copies", type=int, default=100, help="of each kind")
    measure.add_argument("--out", type=Path, metavar="FILE.json")
    measure.set_defaults(command=_evaluate)

    ablate = commands.add_parser("ablate", help="train without each of some kinds, and measure these")
    ablate.add_argument("--config", type=Path, required=True, metavar="FILE.toml")
    ablate.add_argument("--images", nargs="+", required=True, metavar="DIR")
    ablate.add_argument("--targets", type=Path, metavar="FILE.npz")
    ablate.add_argument("--held-out", nargs="+", required=True, metavar="DIR", help="photographs to measure on")
    ablate.add_argument("--kinds", nargs="+", required=True, metavar="KIND")
    ablate.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    ablate.set_defaults(command=_ablate)
    return parser


def _pack(options: argparse.Namespace) -> None:
    from ectype_training.pack import Packing, pack

    packing = Packing(longest=options.longest, shard_mib=options.shard_mib)
    pack(list_images(options.images, ids="path"), options.out, packing)


def _targets(options: argparse.Namespace) -> None:
    from ectype_training.targets import describe_with_teacher

    describe_with_teacher(options.teacher, options.size, list_images(options.images, ids="path"), options.out)


def _train(options: argparse.Namespace) -> None:
    from ectype_training.train import train

    config = read_config(options.config)
    train(config, list_images(options.images, ids="path"), options.targets, options.out)


def _export(options: argparse.Namespace) -> None:
    from ectype_training.onnx_export import Identity
    from ectype_training.student import load_student
    from ectype_training.whitening import whiten

    items = list_images(options.images, ids="path")
    student, config = load_student(options.run)
    description = _read_description(options.description)
    size = options.size or config.size
    if options.whiten:
        whiten(student, items, size, options.whiten)
    identity = Identity(options.name, options.version, options.licence, description)
    _write(student, identity, items, size, options.out)


def _average(options: argparse.Namespace) -> None:
    from ectype_training.averaging import average
    from ectype_training.onnx_export import Identity

    items = list_images(options.images, ids="path")
    description = _read_description(options.description)
    student = average(*options.models, options.share)
    if options.no_background:
        student.background = None
    else:
        _rebalance(student.background, options)
    card = read_card(options.models[0].with_suffix(CARD_SUFFIX))
    identity = Identity(card.name, options.version, card.licence, description)
    _write(student, identity, items, options.size or card.input_size, options.out)


def _narrow(options: argparse.Namespace) -> None:
    import torch

    from ectype_training.narrowing import narrow
    from ectype_training.onnx_export import Identity
    from ectype_training.student import Student

    items = list_images(options.images, ids="path")
    description = _read_description(options.description)
    student = Student.from_onnx(options.model).eval()
    card = read_card(options.model.with_suffix(CARD_SUFFIX))
    pictures = torch.from_numpy(np.stack([square(picture, card.input_size) for picture in _some(items)]))
    errors = options.error * len(student.backbone.widths) if len(options.error) == 1 else options.error
    print(f"hidden channels: {narrow(student, pictures, errors)}")
    _write(
        student, Identity(card.name, options.version, card.licence, description), items, card.input_size, options.out
    )


def _rebalance(layer: BackgroundLayer | None, options: argparse.Namespace) -> None:
    for name in ("strength", "same", "temperature"):
        value = getattr(options, name)
        if value is not None and layer is None:
            raise UsageError(f"--{name} is of the models' background, and these have none")
        if value is not None:
            getattr(layer, name).fill_(value)


def _write(student: Student, identity: Identity, items: Sequence[ImageItem], size: int, folder: Path) -> None:
    from ectype_training.student import export_student

    samples = np.stack([square(picture, size) for picture in _some(items)])
    card = export_student(student, identity, samples, folder)
    print(f"{folder}: {card.name} {card.version}, {card.input_size} px, {card.dimension} dimensions")


def _background(options: argparse.Namespace) -> None:
    from ectype_training.background import add_background, describe_background

    description = _read_description(options.description)
    found = describe_background(load_model(options.model), list_images(options.images, ids="path"), options.rows)
    card = add_background(options.model, found, options.version, description, options.out)
    print(f"{options.out}: {card.name} {card.version}, a background of {len(found.rows)} rows")


def _bfloat16(options: argparse.Namespace) -> None:
    from ectype_training.bfloat16 import fit

    items = list_images(options.images, ids="path")
    card = fit(options.model, _some(items), options.out)
    print(f"{options.out}: {card.name} {card.version}, bfloat16 is {'on' if card.bfloat16 else 'off'}")


def _insets(options: argparse.Namespace) -> None:
    from ectype_training.inset_head import add_head, train_head
    from ectype_training.photographs import readable
    from ectype_training.student import Student

    items = readable(list_images(options.images, ids="path"))
    size = read_card(options.model.with_suffix(CARD_SUFFIX)).input_size
    head = train_head(Student.from_onnx(options.model).eval(), items, size, options.samples, options.epochs)
    pictures = np.stack([square(picture, size) for picture in _some(items)[:16]])
    card = add_head(options.model, head, pictures, options.version, options.out)
    print(f"{options.out}: {card.name} {card.version}, finds insets")


def _some(items: Sequence[ImageItem]) -> list[NDArray[np.uint8]]:
    """The pictures of about 256 of many."""
    return list(decoded(items[:: max(1, len(items) // 256)]))


def _read_description(path: Path) -> str:
    try:
        return " ".join(path.read_text("utf-8").split())
    except (OSError, ValueError) as error:
        raise InvalidDataError(f"{path}: can't be read: {error}") from error


def _queries(options: argparse.Namespace) -> None:
    from ectype_training.queries import make_queries

    make_queries(list_images(options.images, ids="path"), options.count, options.out, options.most_edits)


def _evaluate(options: argparse.Namespace) -> None:
    from ectype_training.kinds import measure_kinds

    if options.run is not None and options.model is not None:
        raise UsageError("name a --model or a --run, not both")
    model: DescriptorModel
    if options.run is not None:
        from ectype_training.student import StudentModel, load_student

        student, config = load_student(options.run)
        model = StudentModel(student, config.size)
    else:
        model = load_model(options.model)
    items = list_images(options.images, ids="path")
    results = measure_kinds(model, items, options.kinds or ["unedited", *KINDS], options.copies)
    print(f"{'kind':28} {'µAP':>6} {'R@P90':>6} {'R@1':>6}")
    for row in sorted(results, key=lambda row: row.micro_average_precision):
        print(f"{row.kind:28} {row.micro_average_precision:6.3f} {row.recall_at_p90:6.3f} {row.recall_at_rank1:6.3f}")
    means = [np.mean([getattr(row, name) for row in results]) for name in list(asdict(results[0]))[1:]]
    print(f"{'mean of ' + str(len(results)) + ' kinds':28} {means[0]:6.3f} {means[1]:6.3f} {means[2]:6.3f}")
    if options.out:
        write_json(options.out, [asdict(row) for row in results])


def _ablate(options: argparse.Namespace) -> None:
    from ectype_training.ablation import ablate

    config = read_config(options.config)
    items, held_out = (list_images(names, ids="path") for names in (options.images, options.held_out))
    ablate(config, items, options.targets, held_out, options.kinds, options.out)
