"""Export a trained student as the model that Ectype loads.

python -m ectype_training.export_student --run RUN --size 160 --images DIR... --description card.txt --out FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from ectype.descriptors.preprocessing import square
from ectype.images import decode_image, list_images
from ectype_training.onnx_export import Identity, export
from ectype_training.train import Student


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="the folder of a training run")
    parser.add_argument("--size", type=int, required=True, help="pixels a side; may be more than in training")
    parser.add_argument("--images", nargs="+", required=True, help="photographs to compare the file with PyTorch on")
    parser.add_argument("--version", required=True)
    parser.add_argument("--description", type=Path, required=True, help="a text file for the card")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    student = Student()
    state = torch.load(options.run / "checkpoint.pt", weights_only=True)
    student.load_state_dict(state["student"])
    items = list_images(options.images)
    chosen = items[:: max(1, len(items) // 256)]
    samples = np.stack([square(decode_image(item.read()), options.size) for item in chosen])
    description = options.description.read_text("utf-8").strip()
    identity = Identity("ectype-lite0", options.version, "Apache-2.0", description)
    card = export(student, identity, samples, options.out)
    print(f"{options.out}: {card.name} {card.version}, {card.input_size} px, after {state['step']} steps")


if __name__ == "__main__":
    main()
