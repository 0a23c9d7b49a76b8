"""Extraction speed: from JPEG files to descriptors, on all cores.

    python benchmarks/extraction_speed.py FOLDER [--model FILE] [--runtime NAME] [--rounds 5]

Three rates are taken in turn, several times over, and compared within each round, since machines drift:
D, reading, decoding and resizing alone; M, the model alone on pictures that are ready; E, the whole pipeline as
`ectype describe` runs it. When one set of cores does both, E can be at most 1 / (1/D + 1/M).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from ectype import ImageItem, list_images, load_model
from ectype.descriptors import OnnxModel, describe_items
from ectype.descriptors.preprocessing import RESIZE_RULES
from ectype.descriptors.runtimes import available_cores
from ectype.images import decode_image

T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, help="an ONNX file with its card; the bundled one by default")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    items = list_images([options.folder])[: options.images]
    model = load_model(options.model, runtime=options.runtime)
    print(f"{model.name} at {model.card.input_size} px, {len(items)} images, {available_cores()} cores")
    prepared = [prepare(item, model) for item in items[:64]]
    ready = [prepared[i % len(prepared)] for i in range(len(items))]

    shares = []
    for number in range(options.rounds):
        decoding = rate(items, lambda group: [prepare(item, model) for item in group])
        inference = rate(ready, model.describe)
        whole = rate_of_pipeline(items, model)
        bound = 1 / (1 / decoding + 1 / inference)
        shares.append(whole / bound)
        print(
            f"round {number + 1}: D {decoding:7.0f}/s   M {inference:7.0f}/s   bound {bound:7.0f}/s   "
            f"E {whole:7.0f}/s   E/bound {shares[-1]:.3f}"
        )
    print(f"E/bound: median {statistics.median(shares):.3f}, {min(shares):.3f} to {max(shares):.3f}")


def prepare(item: ImageItem, model: OnnxModel) -> np.ndarray:
    """The square a model looks at, from the file."""
    pixels = decode_image(item.read(), at_least=model.input_size)
    return RESIZE_RULES[model.card.resize](pixels, model.card.input_size)


def rate(inputs: Sequence[T], work: Callable[[Sequence[T]], object]) -> float:
    """Inputs a second through `work`, eight a call, on all cores."""
    tasks = [inputs[start : start + 8] for start in range(0, len(inputs), 8)]
    with ThreadPoolExecutor(available_cores()) as pool:
        start = time.perf_counter()
        for _ in pool.map(work, tasks):
            pass
        return len(inputs) / (time.perf_counter() - start)


def rate_of_pipeline(items: Sequence[ImageItem], model: OnnxModel) -> float:
    start = time.perf_counter()
    for _ in describe_items(items, model):
        pass
    return len(items) / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
