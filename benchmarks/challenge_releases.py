"""How fast a release is sealed, opened, published and fetched, beside copying or reading the same bytes.

    python benchmarks/challenge_releases.py [--images 4000] [--kilobytes 150] [--folder FOLDER]

Files of random bytes stand for photographs. Everything is done on one disk in one run; what counts are the ratios.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ectype.challenge.manifest import ManifestEntry, write_manifest
from ectype.challenge.releases import (
    Contents,
    fetch,
    open_place,
    plan_release,
    plan_seal,
    publish,
    read_key,
    read_release,
    seal,
    unseal,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--kilobytes", type=int, default=150, help="mean size of an image")
    parser.add_argument("--folder", help="on the disk to be measured; the usual place for temporary files by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        measure(Path(folder), options.images, options.kilobytes * 1000)


def measure(ground: Path, images: int, mean: int) -> None:
    data = ground / "data"
    size = make_data_set(data, images, mean)
    print(f"{images:,} images, {size / 1e6:,.0f} MB")
    rate = partial(timed, size)
    copying = rate("copy the folder", lambda: shutil.copytree(data, ground / "copy"))
    shutil.rmtree(ground / "copy")
    rate("seal", lambda: seal_all(data, ground), copying)
    rate("unseal", lambda: unseal(ground / "sealed", read_key(ground / "key"), ground / "unsealed"), copying)
    shutil.rmtree(ground / "unsealed")
    rate("publish to a folder", lambda: publish_all(data, ground / "place"), copying)
    with serving(ground / "place") as address:
        reading = rate("read by HTTP, keep nothing", lambda: read_all(ground / "place", address))
        rate("fetch by HTTP and unpack", lambda: fetch_all(address, ground / "fetched"), reading)
        rate("fetch again: all is there", lambda: fetch_all(address, ground / "fetched"), reading)


def timed(size: int, what: str, do: Callable[[], object], beside: float | None = None) -> float:
    """Bytes a second, printed beside another rate, and what of it is work of this process."""
    os.sync()
    start, worked = time.perf_counter(), time.process_time()
    do()
    worked = time.process_time() - worked
    os.sync()
    rate = size / (time.perf_counter() - start)
    ratio = f"x {rate / beside:.2f}" if beside else ""
    print(f"  {what:28} {rate / 1e6:7,.0f} MB/s {ratio:7} {worked / size * 1e9:5.1f} s of a core for a GB")
    return rate


def make_data_set(root: Path, images: int, mean: int) -> int:
    rng = random.Random(1)
    (root / "queries").mkdir(parents=True)
    entries = []
    for number in range(images):
        content = rng.randbytes(rng.randrange(mean // 2, mean * 3 // 2))
        entry = ManifestEntry(
            "query", f"Q{number:05}", f"queries/Q{number:05}.jpg", len(content), hashlib.sha256(content).hexdigest()
        )
        (root / entry.path).write_bytes(content)
        entries.append(entry)
    write_manifest(root / "manifest.csv", entries)
    return sum(entry.bytes for entry in entries)


def seal_all(data: Path, ground: Path) -> None:
    seal(plan_seal(data, Contents(roles=("query",))), ground / "sealed", ground / "key")


def publish_all(data: Path, folder: Path) -> None:
    with open_place(str(folder)) as place:
        publish(plan_release(data), place)


def fetch_all(address: str, root: Path) -> None:
    with open_place(address) as place:
        fetch(place, read_release(place), root)


def read_all(folder: Path, address: str) -> None:
    for path in folder.iterdir():
        with urllib.request.urlopen(f"{address}/{path.name}") as answer:  # noqa: S310  # on this machine
            while answer.read(1 << 20):
                pass


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A web server in a process of its own, which knows no ranges."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
