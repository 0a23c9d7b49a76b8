"""How many images a second models describe, side by side in one run.

    python benchmarks/model_speed.py PEER.onnx [PEER.onnx ...] [--images DIR ...] [--rounds 5]

Each model is timed in both runtimes on photographs that are in memory and of its own input size, as many a call as
Ectype gives it, in turns, so that a noisy machine is noisy for all. They should be such as people have: where the
bundled model sees a picture inside another, it describes both. Without ``--images`` they are those that installed
packages carry. The bundled model is the first; ratios are of each model's faster runtime, round by round.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ectype import list_images, load_model
from ectype.demo import packaged_photographs
from ectype.descriptors import OnnxModel
from ectype.descriptors.extraction import IMAGES_A_TASK
from ectype.descriptors.preprocessing import square
from ectype.descriptors.runtimes import available_cores
from ectype.images import decode_image

MOST_PHOTOGRAPHS = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", nargs="*", type=Path, help="ONNX files with their cards")
    parser.add_argument("--images", nargs="+", type=Path, help="at most 512 of them are taken, evenly")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="for each model, runtime and round")
    options = parser.parse_args()

    items = list_images(options.images or packaged_photographs(), ids="path")
    photographs = [decode_image(item.read()) for item in items[:: -(-len(items) // MOST_PHOTOGRAPHS)]]
    contestants = {
        (str(path or "bundled"), runtime): load_model(path, runtime=runtime)
        for path in (None, *options.peers)
        for runtime in ("openvino", "onnxruntime")
    }
    rates: dict[tuple[str, str], list[float]] = {key: [] for key in contestants}
    for number in range(options.rounds + 1):
        for key, model in contestants.items():
            rate = images_a_second(model, photographs, options.seconds)
            if number:  # the first round warms up
                rates[key].append(rate)
    names = list(dict.fromkeys(name for name, _ in contestants))
    best = {
        name: [max(pair) for pair in zip(rates[name, "openvino"], rates[name, "onnxruntime"], strict=True)]
        for name in names
    }
    print(f"{'model':40} {'runtime':12} images/s, median (lowest to highest)")
    for (name, runtime), values in rates.items():
        print(f"{Path(name).name:40} {runtime:12} {show(values)}")
    for name in names[1:]:
        ratios = [own / other for own, other in zip(best["bundled"], best[name], strict=True)]
        print(f"bundled : {Path(name).name} on their faster runtimes: {show(ratios)}")


def images_a_second(model: OnnxModel, photographs: Sequence[NDArray[np.uint8]], seconds: float) -> float:
    pictures = [square(photograph, model.card.input_size) for photograph in photographs]
    calls = [pictures[first : first + IMAGES_A_TASK] for first in range(0, len(pictures), IMAGES_A_TASK)]

    def work(_: int) -> int:
        done = 0
        for call in cycle(calls):
            done += len(model.describe(call))
            if time.perf_counter() >= end:
                break
        return done

    cores = available_cores()
    begun = time.perf_counter()
    end = begun + seconds
    with ThreadPoolExecutor(cores) as pool:
        done = sum(pool.map(work, range(cores)))
    return done / (time.perf_counter() - begun)


def show(values: list[float]) -> str:
    return f"{statistics.median(values):8.2f} ({np.min(values):.2f} to {np.max(values):.2f})"


if __name__ == "__main__":
    main()
