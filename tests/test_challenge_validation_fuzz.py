"""Two hundred mutated submissions: none crashes validation, and none that is invalid gets a score."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from ectype.challenge.manifest import Manifest, ManifestEntry
from ectype.challenge.scoring import score_submission
from ectype.challenge.tracks.example import write_example
from ectype.challenge.validation import Inspector, validate_submission
from ectype.errors import EctypeError
from ectype.evaluation import GroundTruth
from hostile import mutants

MUTANTS_OF_BYTES, MUTANTS_OF_STRUCTURE = 60, 40
MANIFEST = Manifest(
    tuple(
        ManifestEntry(role, f"{letter}{number:02}", f"{role}/{number}.jpg", 1, "0" * 64)
        for role, letter, count in (("query", "Q", 6), ("reference", "R", 15))
        for number in range(count)
    )
)
TRUTH = GroundTruth(frozenset(MANIFEST.query_ids), frozenset([("Q00", "R00"), ("Q01", "R02")]))
DATASETS = ("query", "reference", "query_ids", "reference_ids")


@pytest.fixture(scope="module")
def inspector() -> Iterator[Inspector]:
    with Inspector(seconds=20) as opened:
        yield opened


def mutated_lines(data: bytes, rng: random.Random) -> bytes:
    """Rows swapped, repeated or cut; fields exchanged, emptied, enlarged or filled with nonsense."""
    rows = [line.split(b",") for line in data.splitlines()]
    for _ in range(rng.randint(1, 3)):
        row = rng.randrange(len(rows))
        match rng.randrange(7):
            case 0:
                rows.insert(rng.randrange(len(rows)), rows[row])
            case 1:
                rows[row] = rows[row][: rng.randrange(3)]
            case 2:
                rows[row] = rows[row] + [rng.choice((b"", b"1", b'"'))]
            case 3:
                rng.shuffle(rows[row])
            case 4:
                rows[row] = [rng.choice((b"", b"nan", b"-inf", b"Q99", b'"', b"\0", b"1e400", b"\xff\xfe"))] * 3
            case 5:
                rows[row] = [field * rng.randint(2, 3000) for field in rows[row]]
            case 6:
                del rows[: rng.randint(0, 2)]
                rows = rows or [[b""]]
    return b"\n".join(b",".join(row) for row in rows)


def mutated_datasets(data: bytes, rng: random.Random) -> bytes:
    """Data sets taken out, renamed, linked, retyped, reshaped, filtered or filled with nonsense."""
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        for _ in range(rng.randint(1, 2)):
            mutate(file, rng.choice(DATASETS), rng)
    return buffer.getvalue()


def mutate(file: h5py.File, name: str, rng: random.Random) -> None:
    if not isinstance(file.get(name), h5py.Dataset):
        return
    value = file[name][...]
    kind = rng.randrange(12)
    if kind == 0:
        file.create_dataset(rng.choice(("more", "Query", "ids")), data=value)
        return
    if kind == 1:
        file.create_group("group")[name] = file[name]
        return
    del file[name]
    match kind:
        case 2:
            file[name + rng.choice(("s", " ", "é"))] = value
        case 3:
            file[name] = rng.choice((h5py.SoftLink("/" + name), h5py.ExternalLink("/dev/zero", "/x")))
        case 4:
            file[name] = value[: rng.randrange(len(value))]
        case 5:
            file[name] = np.concatenate([value, value[:1]])
        case 6:
            file[name] = value[::-1]
        case 7:
            file[name] = np.zeros(value.shape, rng.choice(("f8", "i4", "c8", "S3", "u1", ">f4", "f2", "?")))
        case 8:
            file.create_dataset(name, data=value, compression=rng.choice(("gzip", "lzf")))
        case 9:
            file.create_dataset(name, (2 ** rng.randint(20, 60), *value.shape[1:]), value.dtype, chunks=True)
        case 10:
            file[name] = value.reshape(1, *value.shape)
        case 11:
            file[name] = np.full(value.shape, np.nan, np.float32) if value.ndim == 2 else np.full(value.shape, b"\xff")


@pytest.mark.parametrize(
    ("track", "mutated"),
    [("matching", mutated_lines), ("descriptor", mutated_datasets)],
    ids=["matching", "descriptor"],
)
def test_no_mutant_crashes_and_none_that_is_invalid_gets_a_score(
    track, mutated: Callable[[bytes, random.Random], bytes], tmp_path: Path, inspector: Inspector
):
    path = tmp_path / "submission"
    write_example(path, MANIFEST, track, seed=1, dimension=3)
    assert validate_submission(path, MANIFEST, inspector).ok
    assert 0 <= score_submission(path, TRUTH, MANIFEST, inspector=inspector).micro_average_precision <= 1

    data, rng = path.read_bytes(), random.Random(5)
    corpus = mutants(data, MUTANTS_OF_BYTES, track) + [mutated(data, rng) for _ in range(MUTANTS_OF_STRUCTURE)]
    invalid = 0
    for content in corpus:
        path.write_bytes(content)
        if validate_submission(path, MANIFEST, inspector).ok:
            score_submission(path, TRUTH, MANIFEST, inspector=inspector)
        else:
            invalid += 1
            with pytest.raises(EctypeError):
                score_submission(path, TRUTH, MANIFEST, inspector=inspector)
    assert len(corpus) == 100
    assert invalid > 50
