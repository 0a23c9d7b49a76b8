"""What the tests of releases share: small data sets, and a web server that breaks off, forgets ranges or lies."""

from __future__ import annotations

import contextlib
import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ectype.challenge.manifest import ManifestEntry, write_manifest
from ectype.challenge.releases import Contents, Manners, Release, open_place, plan_release, publish

FOLDERS = {"reference": "references", "query": "queries", "training": "training"}
HASTY = Manners(pauses=(0.0, 0.0, 0.0))
SHARD = 40_000
"""Bytes of a shard, for data sets with little in them."""


def make_data_set(root: Path, seed: int = 1, largest: int = 20_000, **counts: int) -> Path:
    """Files of random bytes in the layout of a data set, with ground truth, recipes and a manifest."""
    rng = random.Random(seed)
    entries = []
    for role, count in (counts or {"reference": 9, "query": 6, "training": 3}).items():
        (root / FOLDERS[role]).mkdir(parents=True)
        for number in range(count):
            content = rng.randbytes(rng.choice((0, 1, 512, rng.randrange(largest))))
            path = f"{FOLDERS[role]}/{role[0]}{number:05}.jpg"
            (root / path).write_bytes(content)
            entries.append(
                ManifestEntry(role, Path(path).stem, path, len(content), hashlib.sha256(content).hexdigest())
            )
    write_manifest(root / "manifest.csv", entries)
    (root / "ground_truth.csv").write_text("query_id,reference_id\nq00000,r00001\nq00001,\n")
    (root / "recipes.jsonl").write_text("{}\n")
    return root


def publish_to(place: Path | str, root: Path, **contents: object) -> Release:
    with open_place(str(place)) as target:
        return publish(plan_release(root, Contents(**contents), SHARD), target).release


def files_in(folder: Path) -> dict[str, bytes]:
    """Contents by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def public_files(root: Path) -> dict[str, bytes]:
    """What of a data set a release hands out."""
    return {path: content for path, content in files_in(root).items() if path.endswith((".jpg", "manifest.csv"))}


@dataclass
class Server:
    """How a server behaves, and what it was asked for."""

    folder: Path
    address: str = ""
    ranges: bool = True
    drop_after: Callable[[], int | None] = lambda: None
    status: Callable[[str], int | None] = lambda name: None
    slow: float = 0.0
    asked: list[tuple[str, int]] = field(default_factory=list)
    sent: int = 0


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(ConnectionError):
                self.answer(self.path.rsplit("/", 1)[1])

        def answer(self, name: str) -> None:
            start = int(self.headers.get("Range", "bytes=0-")[6:-1]) if server.ranges else 0
            server.asked.append((name, start))
            path = server.folder / name
            status = server.status(name) or (200 if path.exists() else 404)
            content = path.read_bytes() if status == 200 else b""
            if start and start >= len(content) and status == 200:
                status = 416
            self.send_response(206 if start and status == 200 else status)
            self.send_header("Content-Length", str(max(0, len(content) - start)))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            self.send(content[start:])

        def send(self, content: bytes) -> None:
            limit = server.drop_after()
            for first in range(0, len(content[:limit]), 1000):
                self.wfile.write(content[:limit][first : first + 1000])
                time.sleep(server.slow)
            server.sent += len(content[:limit])

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A web server in a thread."""
    server = Server(folder)
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    server.address = f"http://127.0.0.1:{http.server_port}/release"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
