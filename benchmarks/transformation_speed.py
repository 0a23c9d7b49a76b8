"""Speed of the edits: each kind alone, and chains of three, at 256 pixels on one core.

python benchmarks/transformation_speed.py
"""

from __future__ import annotations

import argparse
import time

import cv2
import numpy as np

from ectype.transformations import KINDS, Edit, Materials, Recipe, sample_recipe
from ectype.transformations.materials import drawn_picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chains", type=int, default=500)
    parser.add_argument("--size", type=int, default=256)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    size = (options.size, options.size)
    pictures = [drawn_picture(number, size) for number in range(16)]
    materials = Materials([lambda picture=picture: picture for picture in pictures])
    rng = np.random.default_rng(0)

    slow = []
    for name, kind in KINDS.items():
        recipes = [Recipe((Edit(name, kind.sample(rng, size)),)) for _ in range(10)]
        slow.append((milliseconds(recipes, pictures, materials), name))
    print("slowest kinds, milliseconds: " + ", ".join(f"{name} {took:.1f}" for took, name in sorted(slow)[:-9:-1]))
    recipes = [sample_recipe(rng, size) for _ in range(options.chains)]
    print(f"chains of three: {1000 / milliseconds(recipes, pictures, materials):.0f} a second on one core")


def milliseconds(recipes: list[Recipe], pictures: list[np.ndarray], materials: Materials) -> float:
    """Mean processor time of a recipe."""
    start = time.process_time()
    for number, recipe in enumerate(recipes):
        recipe.apply(pictures[number % len(pictures)], materials)
    return (time.process_time() - start) / len(recipes) * 1000


if __name__ == "__main__":
    main()
