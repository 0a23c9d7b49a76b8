"""The engines that run an ONNX file, behind one contract.

Both engines send or queue telemetry unless told not to, so each is told before it is imported.
An image is inferred on one core, and as many at once as there are threads calling. A descriptor is independent of the
other images of a run to the last bit: several are inferred together only where that was seen to change no bit.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ectype.errors import MissingPackageError, ModelError

RuntimeName = Literal["auto", "openvino", "onnxruntime"]

Outputs = list[NDArray[np.float32]]

_BFLOAT16 = "BF16"  # OpenVINO's word for it
_TOGETHER = 4
"""Inputs that OpenVINO infers together, where there are so many: a network's weights come from memory once for all."""

_importing = threading.Lock()
_opening = threading.Lock()
_cores: list[Any] = []  # one at most; see `_openvino_core`


class Runtime(Protocol):
    """An ONNX file made ready: one input, one or more outputs."""

    def run(self, inputs: NDArray[np.number]) -> Outputs:
        """Infer one or more inputs, each as if it were alone; may be called from several threads at once.

        Parameters
        ----------
        inputs : ndarray, shape (n, ...)
            Each of the shape and type that the runtime was opened with.

        Returns
        -------
        list of ndarray of float32, shape (n, ...)
            The outputs in the file's order.
        """
        ...


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_runtime(
    path: Path, example: NDArray[np.number], name: RuntimeName = "auto", *, bfloat16: bool = False
) -> Runtime:
    """Make an ONNX file ready to run.

    Parameters
    ----------
    path : Path
    example : ndarray
        An input, with a batch of one: every later input has its shape and type.
    name : {"auto", "openvino", "onnxruntime"}
        ``auto`` takes OpenVINO where it is installed (it has no wheel for some platforms), else ONNX Runtime.
    bfloat16 : bool
        Whether OpenVINO may compute in bfloat16, on processors that have it. ONNX Runtime computes in float32.

    Raises
    ------
    ModelError
        The engine can't read the file, or the model does not take such an input.
    MissingPackageError
        The engine is not installed.
    """
    if name == "auto":
        name = "openvino" if importlib.util.find_spec("openvino") else "onnxruntime"
    if name not in ("openvino", "onnxruntime"):
        raise ModelError(f"unknown runtime {name!r}; there are auto, openvino and onnxruntime")
    try:
        return OpenVinoRuntime(path, example, bfloat16) if name == "openvino" else OnnxRuntime(path, example)
    except ImportError as error:
        raise MissingPackageError(f"the runtime {name} is not installed: pip install {name}") from error
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelError(
            f"{path}: {name} can't run it with an input of {example.dtype} {example.shape}: {error}"
        ) from error


def computes_in_bfloat16() -> bool:
    """Whether OpenVINO is here and this processor computes in bfloat16."""
    if importlib.util.find_spec("openvino") is None:
        return False
    return _BFLOAT16 in _openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVinoRuntime:
    """OpenVINO on the CPU, in bfloat16 where that is allowed and the processor computes in it."""

    def __init__(self, path: Path, example: NDArray[np.number], bfloat16: bool) -> None:
        core = _openvino_core()
        model = core.read_model(str(path))
        model.reshape(list(example.shape))
        _check_type(path, model.input().element_type.to_dtype(), example)
        in_bfloat16 = bfloat16 and _BFLOAT16 in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        cores = available_cores()
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if in_bfloat16 else "f32",
            "NUM_STREAMS": cores,
            "INFERENCE_NUM_THREADS": cores,
            "ENABLE_CPU_PINNING": False,
        }
        self._compile = partial(core.compile_model, device_name="CPU", config=settings)
        self._model, self._example = model, example
        self._alone = _Compiled(self._compile(model))
        self._opening = threading.Lock()
        self._opened: list[_Compiled | None] = []  # one at most; see `_together`

    def run(self, inputs: NDArray[np.number]) -> Outputs:
        together = self._together() if len(inputs) >= _TOGETHER else None
        whole = 0 if together is None else len(inputs) - len(inputs) % _TOGETHER
        rows = [self._alone.infer(inputs[number : number + 1]) for number in range(whole, len(inputs))]
        if together is not None:
            fours = [together.infer(inputs[first : first + _TOGETHER]) for first in range(0, whole, _TOGETHER)]
            rows = fours + rows
        return joined(rows)

    def _together(self) -> _Compiled | None:
        """The model for several inputs at once, made when it is first needed; None where that would change a bit."""
        with self._opening:
            if not self._opened:
                self._opened.append(self._open_together())
        return self._opened[0]

    def _open_together(self) -> _Compiled | None:
        try:
            self._model.reshape([_TOGETHER, *self._example.shape[1:]])
            compiled = _Compiled(self._compile(self._model))
            return compiled if self._says_the_same(compiled) else None
        except RuntimeError:  # OpenVINO's for a graph that takes one input and no more
            return None

    def _says_the_same(self, together: _Compiled) -> bool:
        """Whether inputs of noise give the same bits alone and in every place among others."""
        noise = np.random.default_rng(0).normal(size=(_TOGETHER, *self._example.shape[1:]))
        if self._example.dtype == np.uint8:
            noise = np.clip(128 + 50 * noise, 0, 255)
        inputs = noise.astype(self._example.dtype)
        alone = joined([self._alone.infer(inputs[number : number + 1]) for number in range(_TOGETHER)])
        return all(
            np.array_equal(output, np.roll(expected, turn, 0))
            for turn in range(_TOGETHER)
            for output, expected in zip(together.infer(np.roll(inputs, turn, 0)), alone, strict=True)
        )


class _Compiled:
    """A compiled model with a request for each thread that calls."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._of_thread = threading.local()

    def infer(self, batch: NDArray[np.number]) -> Outputs:
        request = getattr(self._of_thread, "request", None)
        if request is None:
            request = self._of_thread.request = self._model.create_infer_request()
        return [np.array(output, np.float32) for output in request.infer([batch], share_inputs=True).values()]


class OnnxRuntime:
    """ONNX Runtime on the CPU, in float32."""

    def __init__(self, path: Path, example: NDArray[np.number]) -> None:
        onnxruntime = _import_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no base class but Exception
            raise ModelError(f"{path}: onnxruntime can't read it: {error}") from error
        taken = self._session.get_inputs()[0]
        _check_type(path, {"tensor(uint8)": "uint8", "tensor(float)": "float32"}.get(taken.type, taken.type), example)
        self._input = taken.name

    def run(self, inputs: NDArray[np.number]) -> Outputs:
        return joined([self._session.run(None, {self._input: one[None]}) for one in inputs])


def joined(runs: list[Outputs]) -> Outputs:
    """Each output of several runs, one below the other."""
    return [np.asarray(np.concatenate(rows), np.float32) for rows in zip(*runs, strict=True)]


def _check_type(path: Path, taken: object, example: NDArray[np.number]) -> None:
    """Engines would convert in silence."""
    if str(taken) != str(example.dtype):
        raise ModelError(f"{path}: takes an input of {taken}, not of {example.dtype} as its card says")


def _openvino_core() -> Any:
    """The one OpenVINO core of the process, which is never closed.

    A core gives the thread that makes it another stack for signals, and takes it back when it ends. Of two cores that
    do not end in reverse order, the later one hands back what the earlier one has freed, and the next signal, such as
    that of a child's end, kills the process without a word (seen with 2026.4).
    """
    openvino = _import_openvino()
    with _opening:
        if not _cores:
            _cores.append(openvino.Core())
    return _cores[0]


def _import_openvino() -> Any:
    """Import OpenVINO without its telemetry, which would report the import and write an id into the home folder."""
    with _importing:
        if "openvino" not in sys.modules:
            _import_without_telemetry()
        import openvino

        # The first NumPy conversion sets up a global of the binding, and two threads doing so at once block each other
        # for ever (seen with 2026.4): so it is done here, by one.
        _ = openvino.Tensor(np.zeros(1, np.float32)).data
    return openvino


def _import_without_telemetry() -> None:
    missing = object()
    before = sys.modules.get("openvino_telemetry", missing)
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # makes OpenVINO take its own stub
    try:
        importlib.import_module("openvino")
    finally:
        if before is missing:
            del sys.modules["openvino_telemetry"]
        else:
            sys.modules["openvino_telemetry"] = before  # type: ignore[assignment]


def _import_onnxruntime() -> Any:
    """Import ONNX Runtime with the switch set that it reads once, when its library is loaded."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime
