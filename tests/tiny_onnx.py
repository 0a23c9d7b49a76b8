"""ONNX files of a few hundred bytes, written field by field: no package for ONNX is needed to test with them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ectype.descriptors import ModelCard

SIDE = 16
_FLOAT, _INT64 = 1, 7


def write_tiny_model(
    folder: Path,
    name: str = "tiny",
    *,
    dimension: int = 512,
    seed: int = 0,
    of_one: bool = False,
    insets: bool = False,
) -> Path:
    """Write ``<name>.onnx`` and ``<name>.json``: the descriptor is the first numbers of the picture, 16 pixels square.

    Models with different seeds have different fingerprints. One that is `of_one` takes batches of one only. One that
    finds `insets` says that they are where red is 192, and not where it is 128.
    """
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.onnx"
    file.write_bytes(_model(dimension, f"seed {seed}", of_one, insets))
    card = ModelCard(
        name=name,
        version="1",
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        input_size=SIDE,
        input_type="float32",
        input_layout="nchw",
        resize="square",
        mean=(128, 128, 128),
        std=(64, 64, 64.5),
        dimension=dimension,
        bfloat16=False,
        licence="CC0-1.0",
        insets=insets,
    )
    file.with_suffix(".json").write_text(card.to_json())
    return file


def _model(dimension: int, producer: str, of_one: bool, insets: bool) -> bytes:
    shape = _text(1, "shape") if of_one else b""
    flatten = _text(1, "images") + shape + _text(2, "flat") + _text(4, "Reshape" if of_one else "Flatten")
    slice_ = b"".join(_text(1, name) for name in ("flat", "start", "end", "axis"))
    slice_ += _text(2, "descriptors") + _text(4, "Slice")
    graph = _bytes(1, flatten) + _bytes(1, slice_) + _text(2, "tiny")
    for name, value in (("start", 0), ("end", dimension), ("axis", 1)):
        graph += _bytes(5, _number(1, 1) + _number(2, _INT64) + _bytes(7, _varint(value)) + _text(8, name))
    if of_one:
        sizes = _varint(1) + _varint(3 * SIDE * SIDE)
        graph += _bytes(5, _number(1, 2) + _number(2, _INT64) + _bytes(7, sizes) + _text(8, "shape"))
    graph += _bytes(11, _value("images", (3, SIDE, SIDE))) + _bytes(12, _value("descriptors", (dimension,)))
    if insets:
        axis = _bytes(5, _text(1, "axis") + _number(3, 1) + _number(20, 2))
        graph += _bytes(5, _number(2, _INT64) + _bytes(7, _varint(0)) + _text(8, "red"))
        red = _text(1, "images") + _text(1, "red") + _text(2, "likelihoods") + _text(4, "Gather") + axis
        graph += _bytes(1, red) + _bytes(12, _value("likelihoods", (SIDE, SIDE)))
    return _number(1, 8) + _text(2, producer) + _bytes(7, graph) + _bytes(8, _text(1, "") + _number(2, 17))


def _value(name: str, shape: tuple[int, ...]) -> bytes:
    dimensions = _bytes(1, _text(2, "n")) + b"".join(_bytes(1, _number(1, size)) for size in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, _FLOAT) + _bytes(2, dimensions)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    digits = []
    while True:
        value, digit = value >> 7, value & 127
        digits.append(digit | (128 if value else 0))
        if not value:
            return bytes(digits)
