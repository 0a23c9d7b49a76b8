"""Speed of making a challenge's data set: a phase 1 of 10,000 references and 2,000 queries.

    python benchmarks/challenge_making.py [PHOTOGRAPHS ...] [--adversarial] [--jobs N]

PHOTOGRAPHS are what `ectype challenge make` takes; without any, pictures are drawn. Everything is made twice, with all
processes and, a share of it, with one, to show what more processes gain.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from PIL import Image

from ectype.challenge.making import DataSetPlan, bundled_attack, find_photographs, make_dataset
from ectype.challenge.making.pictures import image_file
from ectype.descriptors.runtimes import available_cores
from ectype.images import ImageItem
from ectype.transformations.materials import drawn_picture

SIZE = (320, 240)  # of drawn pictures
SAMPLE = 300  # photographs whose encoding alone is timed
SHARE = 10  # with one process, so many times fewer images are made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", nargs="*")
    parser.add_argument("--references", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=2_000)
    parser.add_argument("--training", type=int, default=1_000)
    parser.add_argument("--adversarial", action="store_true")
    parser.add_argument("--jobs", type=int, default=available_cores())
    options = parser.parse_args()
    plan = DataSetPlan(options.references, options.queries, options.training, seed=2021)
    attack = bundled_attack if options.adversarial else None
    with tempfile.TemporaryDirectory() as folder:
        ground = Path(folder)
        photographs = options.photographs or [draw(ground / "drawn", plan.photographs, options.jobs)]
        items = find_photographs(photographs)
        print(
            f"{len(items):,} photographs; {plan.images:,} images are made of {plan.photographs:,} of them", flush=True
        )

        rates = []
        for jobs, part, name in ((options.jobs, plan, "whole"), (1, share_of(plan), "share")):
            start = time.perf_counter()
            make_dataset(ground / name, items, part, attack=attack, jobs=jobs)
            seconds = time.perf_counter() - start
            rates.append(part.images / seconds)
            print(
                f"{jobs} processes: {part.images:,} images in {seconds / 60:.1f} minutes, {rates[-1]:.0f} a second",
                flush=True,
            )
        print(f"gained by {options.jobs} processes: {rates[0] / rates[1]:.2f} times the rate of one")
        size = sum(path.stat().st_size for path in (ground / "whole").rglob("*.jpg"))
        print(f"{size / plan.images / 1000:.0f} kB an image")
        alone = milliseconds(items[:: max(1, len(items) // SAMPLE)])
        print(f"decoding and encoding a photograph alone: {alone:.1f} ms on one core")


def share_of(plan: DataSetPlan) -> DataSetPlan:
    return replace(
        plan,
        references=max(1, plan.references // SHARE),
        queries=max(1, plan.queries // SHARE),
        training=plan.training // SHARE,
    )


def milliseconds(items: list[ImageItem]) -> float:
    start = time.perf_counter()
    for item in items:
        image_file(item)
    return (time.perf_counter() - start) / len(items) * 1000


def draw(folder: Path, count: int, jobs: int) -> Path:
    folder.mkdir()
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        list(pool.map(draw_one, [folder] * count, range(count), chunksize=64))
    return folder


def draw_one(folder: Path, number: int) -> None:
    Image.fromarray(drawn_picture(number, SIZE)).save(folder / f"{number:07}.jpg", quality=90)


if __name__ == "__main__":
    main()
