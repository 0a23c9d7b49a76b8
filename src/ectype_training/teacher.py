"""What a strong model says of the unedited photographs: the student's targets.

    python -m ectype_training.teacher --model teacher.onnx --size 288 --images DIR... --out targets.npz

The teacher is any ONNX file that takes uint8 images (n, size, size, 3). It is used here only, and never shipped.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ectype.descriptors.preprocessing import square
from ectype.descriptors.runtimes import available_cores, open_runtime
from ectype.images import ImageItem, decode_image, list_images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--images", nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    items = list_images(options.images)
    runtime = open_runtime(options.model, np.zeros((1, options.size, options.size, 3), np.uint8))

    def describe(item: ImageItem) -> NDArray[np.float32]:
        return runtime.run(square(decode_image(item.read()), options.size)[None])[0]

    rows = []
    with ThreadPoolExecutor(available_cores()) as pool:
        for number, row in enumerate(pool.map(describe, items), 1):
            rows.append(row)
            if number % 2000 == 0:
                print(f"{number} of {len(items)}", flush=True)
    np.savez(options.out, ids=np.array([item.id for item in items]), vectors=np.stack(rows))


def reduced(vectors: NDArray[np.float32], dimension: int) -> NDArray[np.float32]:
    """The first principal components of unit rows, again of unit length."""
    rows = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    centred = rows - rows.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    kept = centred @ axes[:, ::-1][:, :dimension]
    return (kept / np.linalg.norm(kept, axis=1, keepdims=True)).astype(np.float32)


if __name__ == "__main__":
    main()
