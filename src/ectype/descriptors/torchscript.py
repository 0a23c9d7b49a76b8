"""From a TorchScript file to ONNX. PyTorch is imported only here, and only when a file is converted."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ectype.descriptors.model import OnnxModel
from ectype.descriptors.preprocessing import square
from ectype.errors import MissingPackageError, ModelError

LOWEST_COSINE = 0.999
"""Between what the ONNX file and the TorchScript file say of a picture."""

_OPSET = 17
_CELLS = (1, 2, 3, 5, 8, 16, 32, 64)


def import_torch() -> Any:
    """Import PyTorch, and see that it can export ONNX.

    Raises
    ------
    MissingPackageError
        PyTorch or ONNX is not installed.
    """
    try:
        importlib.import_module("onnx")  # PyTorch's exporter needs it
        return importlib.import_module("torch")
    except ImportError as error:
        raise MissingPackageError(
            f"converting a TorchScript file needs PyTorch and ONNX ({error}): pip install 'ectype[training]'; "
            "the model itself, once converted, needs neither"
        ) from error


def convert_torchscript(source: Path, target: Path, input_size: int) -> None:
    """Write a TorchScript model as an ONNX file, with a batch of any size.

    Parameters
    ----------
    source : Path
        Traced or scripted: takes float32 (n, 3, input_size, input_size), gives float32 (n, d).
    target : Path
    input_size : int

    Raises
    ------
    ModelError
        The source is no TorchScript file, or does not take such an input.
    MissingPackageError
        PyTorch or ONNX is not installed.
    OSError
        The disk refuses.
    """
    torch = import_torch()
    module = _load(source)
    example = torch.zeros(1, 3, input_size, input_size)
    try:
        with _deprecated_calls(), torch.inference_mode():
            torch.onnx.export(
                module,
                (example,),
                str(target),
                dynamo=False,  # the only exporter that takes TorchScript
                input_names=["images"],
                output_names=["descriptors"],
                dynamic_axes={"images": {0: "n"}, "descriptors": {0: "n"}},
                opset_version=_OPSET,
            )
    except RuntimeError as error:
        raise ModelError(f"{source}: can't be converted to ONNX: {error}") from error


def check_conversion(source: Path, model: OnnxModel) -> None:
    """Raise unless an ONNX file describes made pictures as the TorchScript file does from which it was converted.

    Raises
    ------
    ModelError
        The cosine of two descriptors of a picture is below 0.999.
    """
    torch = import_torch()
    module = _load(source)
    pictures = _made_pictures(model.input_size)
    with torch.inference_mode():
        rows = [module(torch.from_numpy(model.input_of(picture))).numpy()[0] for picture in pictures]
    expected = np.stack(rows)
    cosines = (model.describe(pictures) * expected).sum(axis=1) / np.linalg.norm(expected, axis=1)
    if not cosines.min() >= LOWEST_COSINE:  # also where it is not a number
        raise ModelError(
            f"{source}: the ONNX file made from it differs from it: the lowest cosine of {len(pictures)} pictures is "
            f"{cosines.min():.4f}, and {LOWEST_COSINE} is needed; try another version of PyTorch"
        )


def _load(source: Path) -> Any:
    torch = import_torch()
    try:
        with _deprecated_calls():
            return torch.jit.load(str(source), map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"{source}: not a TorchScript file: {error}") from error


def _made_pictures(size: int) -> list[NDArray[np.uint8]]:
    """Random colours in grids, from a single one to fine patterns, with soft edges."""
    rng = np.random.default_rng(0)
    return [square(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8), size) for cells in _CELLS]


@contextmanager
def _deprecated_calls() -> Iterator[None]:
    """PyTorch deprecates TorchScript, and nothing else reads the files that are in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "no signature found for .*ScriptMethod", UserWarning)
        yield
