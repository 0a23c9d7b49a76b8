"""Train a student to see through edits.

    python -m ectype_training.train --images DIR... --targets targets.npz --out RUN [--minutes 50]

The student looks at an edited photograph and must say what the teacher says of the unedited one: it is pulled to that
target, and must tell it from the targets of all other photographs (a softmax over the whole set, which costs one matrix
product and stands in for a batch of thousands). The run is resumed where it was if its folder has a checkpoint.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from ectype.images import list_images
from ectype_training.dataset import EditedPhotographs
from ectype_training.descriptor_head import GeM
from ectype_training.efficientnet_lite import FEATURES, EfficientNetLite0
from ectype_training.onnx_export import MEAN, STD
from ectype_training.teacher import reduced

TEMPERATURE = 0.05
COSINE_WEIGHT = 5.0
WARM_UP = 200


class Student(nn.Module):
    """EfficientNet-Lite0, GeM pooling and a linear layer: uint8 (n, s, s, 3) to unit rows (n, dimension)."""

    def __init__(self, dimension: int = 256) -> None:
        super().__init__()
        self.backbone = EfficientNetLite0()
        self.pooling = GeM(3.0)
        self.project = nn.Linear(FEATURES, dimension)

    def forward(self, images: Tensor) -> Tensor:
        x = (images.permute(0, 3, 1, 2).float() - MEAN) / STD
        x = self.backbone(x.contiguous(memory_format=torch.channels_last))
        return functional.normalize(self.project(self.pooling(x.float())))


def loss_of(descriptors: Tensor, targets: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax over all targets (InfoNCE against the whole set), and one minus the cosine to the own target."""
    similarity = descriptors @ targets.T
    contrast = functional.cross_entropy(similarity / TEMPERATURE, numbers)
    cosine = similarity.gather(1, numbers[:, None]).mean()
    return contrast, 1 - cosine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", nargs="+", required=True)
    parser.add_argument("--targets", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--minutes", type=float, default=50)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    items = list_images(options.images)
    with np.load(options.targets) as file:
        row_of = {name: row for row, name in enumerate(file["ids"].tolist())}
        vectors = reduced(file["vectors"], 256)
    targets = torch.from_numpy(vectors[[row_of[item.id] for item in items]])

    torch.manual_seed(2021)
    student = Student().to(memory_format=torch.channels_last)
    student.backbone.load_imagenet()
    decayed = [p for p in student.parameters() if p.ndim > 1]
    plain = [p for p in student.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=options.rate, betas=(0.9, 0.98))
    checkpoint = options.out / "checkpoint.pt"
    step, spent = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        student.load_state_dict(state["student"])
        optimiser.load_state_dict(state["optimiser"])
        step, spent = state["step"], state["seconds"]

    data = EditedPhotographs(items, options.size, start=step * options.batch)
    loader = DataLoader(
        data, options.batch, num_workers=options.workers, prefetch_factor=6 if options.workers else None
    )
    log = csv.writer(open(options.out / "log.csv", "a", newline="", buffering=1))  # noqa: SIM115
    budget = options.minutes * 60
    start = last_saved = time.monotonic() - spent
    sums = np.zeros(2)
    student.train()
    for images, numbers in loader:
        seconds = time.monotonic() - start
        share = min(1.0, seconds / budget)
        for group in optimiser.param_groups:  # the clock decides the rate, so that any budget ends well
            group["lr"] = (
                options.rate * min(1, (step + 1) / WARM_UP) * (0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2)
            )
        with torch.autocast("cpu", torch.bfloat16):
            descriptors = student(images)
        contrast, distance = loss_of(descriptors.float(), targets, numbers)
        optimiser.zero_grad(set_to_none=True)
        (contrast + COSINE_WEIGHT * distance).backward()
        nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        optimiser.step()
        step += 1
        sums += contrast.item(), distance.item()
        if step % 50 == 0:
            contrast_mean, distance_mean = sums / 50
            sums[:] = 0
            log.writerow([step, step * options.batch, round(seconds), f"{contrast_mean:.4f}", f"{distance_mean:.4f}"])
            print(
                f"step {step}: {step * options.batch} samples, {seconds:.0f} s, "
                f"contrast {contrast_mean:.4f}, distance {distance_mean:.4f}",
                flush=True,
            )
        if share >= 1 or time.monotonic() - last_saved > 300:
            last_saved = time.monotonic()
            state = {
                "student": student.state_dict(),
                "optimiser": optimiser.state_dict(),
                "step": step,
                "seconds": seconds,
            }
            torch.save(state, checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").replace(checkpoint)
        if share >= 1:
            break


if __name__ == "__main__":
    main()
