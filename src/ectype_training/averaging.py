"""One model of two: the mean of their weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from ectype.descriptors import ModelCard
from ectype.descriptors.card import CARD_SUFFIX, read_card
from ectype.errors import ModelError
from ectype_training.background import has_background
from ectype_training.onnx_export import read_onnx, write_model

_WEIGHTS = (TensorProto.FLOAT, TensorProto.FLOAT16)


def average(first: Path, second: Path, version: str, description: str, folder: Path) -> ModelCard:
    """Write a model whose weights lie in the middle between those of two others, with a card.

    Two runs of which one began from the other lie in one valley of the loss, and their middle generalises better than
    either (Wortsman et al., Model soups, ICML 2022).

    Parameters
    ----------
    first, second : Path
        ONNX files of one architecture, exported at one size. The card beside the first gives all that is not said here.
    version, description : str
        For the card.
    folder : Path
        Made if it is not there.

    Returns
    -------
    ModelCard
        bfloat16 is off in it: nothing was measured.

    Raises
    ------
    ModelError
        A file can't be read, the two are not of one architecture, or one has a background, which belongs to it alone.
    """
    card = read_card(first.with_suffix(CARD_SUFFIX))
    model, other = _read(first), _read(second)
    weights, others = model.graph.initializer, other.graph.initializer
    kinds, other_kinds = ([(entry.data_type, tuple(entry.dims)) for entry in rows] for rows in (weights, others))
    if kinds != other_kinds:
        raise ModelError(f"{second}: is not of the architecture of {first}; only such models have a middle")
    for mine, its in zip(weights, others, strict=True):
        if mine.data_type in _WEIGHTS:
            here, there = numpy_helper.to_array(mine), numpy_helper.to_array(its)
            middle = (here.astype(np.float64) + there) / 2
            mine.CopyFrom(numpy_helper.from_array(middle.astype(here.dtype), mine.name))
    return write_model(model, replace(card, version=version, bfloat16=False, description=description), folder)


def _read(path: Path) -> onnx.ModelProto:
    model = read_onnx(path)
    if has_background(model):
        raise ModelError(f"{path}: its background belongs to it alone; give the model from before it")
    return model
