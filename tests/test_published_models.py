"""Models that are fetched: downloads, and the files that their publishers named."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from ectype.descriptors import ModelStore
from ectype.descriptors.download import download
from ectype.descriptors.model import digest_of
from ectype.descriptors.published import PUBLISHED, SSCD_DISC_MIXUP, add_published, check_published
from ectype.errors import DownloadError, MissingPackageError, ModelError


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serves a folder on this machine; gives its address."""

    class Silent(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_downloads_are_whole_or_errors(tmp_path: Path) -> None:
    data = np.random.default_rng(0).bytes(3_000_000)
    (tmp_path / "data").write_bytes(data)
    steps: list[int] = []
    with served(tmp_path) as address:
        download(f"{address}/data", tmp_path / "got", len(data), steps.append)
        assert (tmp_path / "got").read_bytes() == data
        assert sum(steps) == len(data) and len(steps) > 1
        with pytest.raises(DownloadError, match="should have 4,000,000 bytes, but it ended after 3,000,000"):
            download(f"{address}/data", tmp_path / "got", 4_000_000)
        with pytest.raises(DownloadError, match="should have 2,000,000 bytes, but there are more"):
            download(f"{address}/data", tmp_path / "got", 2_000_000)
        assert (tmp_path / "got").stat().st_size <= 2_000_000
        with pytest.raises(DownloadError, match="gone: can't be downloaded: File not found"):
            download(f"{address}/gone", tmp_path / "got", 1)
    with pytest.raises(DownloadError, match=r"can't be downloaded: .*refused"):
        download(f"{address}/data", tmp_path / "got", 1)


def test_a_file_is_the_published_one_or_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    published = replace(SSCD_DISC_MIXUP, size=3, sha256=digest_of(file))
    check_published(file, published)
    with pytest.raises(ModelError, match=r"file: its sha256 is .*get it from https://"):
        check_published(file, replace(published, sha256="0" * 64))
    with pytest.raises(ModelError, match=r"file: has 3 bytes, but sscd_disc_mixup has 98,791,638; get it from"):
        check_published(file, SSCD_DISC_MIXUP)


def test_without_pytorch_it_is_said_what_to_install(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'ectype\[training\]'"):
        add_published(SSCD_DISC_MIXUP, store)
    assert not store.folder.exists()


def test_published_models_can_be_described() -> None:
    for name, published in PUBLISHED.items():
        card = published.card_for("0" * 64)
        assert card.name == name
        assert published.url in card.description and published.sha256 in card.description
        assert published.url.startswith("https://")
