"""Freezing an entry: what a freeze covers, and what has changed since."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from challenge_ground import DEADLINE, FREEZING, SetClock, opened, write_descriptors
from ectype.challenge.freezing.code_listing import Code, FrozenFile
from ectype.challenge.freezing.freeze import (
    EntryParts,
    Freeze,
    check_freeze,
    freeze_digest,
    freeze_entry,
    read_freeze,
    write_freeze,
)
from ectype.challenge.freezing.reference_digest import reference_digest
from ectype.challenge.hosting.refereeing import disqualify, record_freeze
from ectype.errors import ChallengeError, SubmissionError, UsageError


@pytest.fixture
def parts(tmp_path: Path) -> EntryParts:
    code = tmp_path / "code"
    (code / "below").mkdir(parents=True)
    (code / "match.py").write_text("print('match')\n")
    (code / "below" / "tool.sh").write_text("true\n")
    (code / "below" / "tool.sh").chmod(0o755)
    for name in ("a.onnx", "b.onnx", "uv.lock"):
        (tmp_path / name).write_text(name)
    return EntryParts(
        code,
        (tmp_path / "a.onnx", tmp_path / "b.onnx"),
        tmp_path / "uv.lock",
        write_descriptors(tmp_path / "descriptors.h5"),
    )


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=A", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def committed(code: Path) -> None:
    git(code, "init", "-q")
    git(code, "add", "-A")
    git(code, "commit", "-q", "-m", "An entry")


def test_a_freeze_is_read_as_it_was_written_and_the_entry_is_the_frozen_one(parts: EntryParts, tmp_path: Path) -> None:
    freeze = freeze_entry("red", parts)
    write_freeze(tmp_path / "freeze.json", freeze)
    assert read_freeze(tmp_path / "freeze.json") == freeze
    assert check_freeze(freeze, parts) == []
    assert [file.name for file in freeze.code.files] == ["below/tool.sh", "match.py"]
    assert [file.executable for file in freeze.code.files] == [True, False]
    assert freeze.code.tree is None


def test_the_digest_is_that_of_the_entry_not_of_its_place_or_the_order_of_its_weights(
    parts: EntryParts, tmp_path: Path
) -> None:
    digest = freeze_digest(freeze_entry("red", parts))
    other = EntryParts(
        (tmp_path / "code").rename(tmp_path / "moved"), parts.weights[::-1], parts.environment, parts.descriptors
    )
    os.utime(other.code / "match.py", (1, 1))
    (other.code / "match.py").chmod(0o600)
    assert freeze_digest(freeze_entry("red", other)) == digest
    assert freeze_digest(freeze_entry("blue", other)) != digest


def test_every_change_is_told(parts: EntryParts) -> None:
    freeze = freeze_entry("red", parts)
    (parts.code / "match.py").write_text("print('cheat')\n")
    (parts.code / "new.py").touch()
    (parts.code / "below" / "tool.sh").chmod(0o644)
    parts.weights[0].write_text("trained again")
    parts.environment.write_text("another version")
    write_descriptors(parts.descriptors, references=1)
    changed = EntryParts(parts.code, parts.weights[:1], parts.environment, parts.descriptors)
    changes = check_freeze(freeze, changed)
    assert changes[:6] == [
        "code: below/tool.sh was executable",
        "code: match.py has other content",
        "code: new.py is new",
        "weights: a.onnx has other content",
        "weights: b.onnx is missing",
        "environment: uv.lock has other content",
    ]
    assert changes[6].startswith("reference descriptors: their digest was ") and len(changes) == 7


names = st.lists(st.text("ab/.", min_size=1, max_size=4), unique=True, min_size=1, max_size=4)


@given(names=names, data=st.data())
def test_the_digest_of_code_tells_any_two_listings_apart(names, data) -> None:
    def listing() -> tuple[FrozenFile, ...]:
        return tuple(
            FrozenFile(name, data.draw(st.sampled_from("01")) * 64, data.draw(st.booleans())) for name in names
        )

    one, other = listing(), listing()
    assert (Code(one, None).digest == Code(other, None).digest) == (one == other)
    assert Code(one, None).digest != Code(one[1:], None).digest


# Git


def test_a_git_tree_is_frozen_with_its_hash_and_without_what_git_ignores(parts: EntryParts) -> None:
    (parts.code / ".gitignore").write_text("*.pyc\n")
    (parts.code / "ignored.pyc").touch()
    committed(parts.code)
    freeze = freeze_entry("red", parts)
    assert freeze.code.tree == git(parts.code, "rev-parse", "HEAD^{tree}")
    assert [file.name for file in freeze.code.files] == [".gitignore", "below/tool.sh", "match.py"]
    (parts.code / "ignored.pyc").write_text("changed")
    assert check_freeze(freeze, parts) == []


@pytest.mark.parametrize("change", ["content", "permission", "new", "removed", "staged"])
def test_a_git_tree_with_changes_is_not_frozen(parts: EntryParts, change: str) -> None:
    committed(parts.code)
    freeze = freeze_entry("red", parts)
    match change:
        case "content":
            (parts.code / "match.py").write_text("changed")
        case "permission":
            (parts.code / "match.py").chmod(0o755)
        case "new":
            (parts.code / "new.py").touch()
        case "removed":
            (parts.code / "match.py").unlink()
        case "staged":
            (parts.code / "match.py").write_text("changed")
            git(parts.code, "add", "-A")
    with pytest.raises(ChallengeError, match=r"(match|new)\.py differ from the last commit; commit or remove"):
        freeze_entry("red", parts)
    assert len(check_freeze(freeze, parts)) == 1


def test_programs_that_a_repository_names_are_not_run(parts: EntryParts, tmp_path: Path) -> None:
    committed(parts.code)
    spy = tmp_path / "spy"
    spy.write_text(f"#!/bin/sh\ntouch {tmp_path}/was-run\ncat\n")
    spy.chmod(0o755)
    for name in ("core.fsmonitor", "filter.spy.clean", "filter.spy.smudge", "filter.spy.process", "diff.external"):
        git(parts.code, "config", name, str(spy))
    (parts.code / ".git" / "info" / "attributes").write_text("* filter=spy\n")
    (parts.code / "match.py").write_text("changed")
    with pytest.raises(ChallengeError, match=r"match\.py differ"):
        freeze_entry("red", parts)
    assert not (tmp_path / "was-run").exists()


def test_the_frozen_code_may_be_checked_where_it_has_no_repository(parts: EntryParts, tmp_path: Path) -> None:
    committed(parts.code)
    freeze = freeze_entry("red", parts)
    (parts.code / ".git").rename(tmp_path / "gone")
    assert check_freeze(freeze, parts) == []


def test_a_repository_without_a_commit_or_without_git(parts: EntryParts, monkeypatch: pytest.MonkeyPatch) -> None:
    git(parts.code, "init", "-q")
    with pytest.raises(ChallengeError, match="git ls-tree failed"):
        freeze_entry("red", parts)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match="git is not installed"):
        freeze_entry("red", parts)


# What has no place in a freeze


def test_links_and_special_files_are_refused(parts: EntryParts) -> None:
    (parts.code / "link").symlink_to("match.py")
    with pytest.raises(ChallengeError, match="link: is a link"):
        freeze_entry("red", parts)
    committed(parts.code)
    with pytest.raises(ChallengeError, match="link: is a link"):
        freeze_entry("red", parts)
    (parts.code / "link").unlink()
    (parts.code / ".git").rename(parts.code.parent / "gone")
    os.mkfifo(parts.code / "pipe")
    with pytest.raises(ChallengeError, match="pipe: is a link, a repository of its own or a special file"):
        freeze_entry("red", parts)


def test_names_that_are_no_unicode_are_refused(parts: EntryParts) -> None:
    (parts.code / os.fsdecode(b"\xff.py")).touch()
    with pytest.raises(ChallengeError, match=r"the name b'\\xff.py' is no Unicode"):
        freeze_entry("red", parts)


def test_parts_that_are_missing(parts: EntryParts, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for changed, error, message in (
        (EntryParts(tmp_path / "none", (), parts.environment), UsageError, "is no folder of code"),
        (EntryParts(tmp_path / "empty", (), parts.environment), ChallengeError, "holds no code"),
        (EntryParts(parts.code, (tmp_path / "none",), parts.environment), ChallengeError, "there is no such file"),
        (EntryParts(parts.code, (), tmp_path), ChallengeError, "can't be read"),
        (EntryParts(parts.code, (), parts.environment, tmp_path / "none"), SubmissionError, "there is no such file"),
        (EntryParts(parts.code, (), parts.environment, parts.environment), SubmissionError, "can't be read"),
    ):
        with pytest.raises(error, match=message):
            freeze_entry("red", changed)
    with pytest.raises(UsageError, match=r"two files of weights are named a\.onnx"):
        EntryParts(parts.code, (parts.weights[0], tmp_path / "empty" / "a.onnx"), parts.environment)


def test_a_freeze_that_is_none_or_was_edited(parts: EntryParts, tmp_path: Path) -> None:
    path = tmp_path / "freeze.json"
    with pytest.raises(ChallengeError, match="there is no such file"):
        read_freeze(path)
    with pytest.raises(ChallengeError, match="can't be read"):
        read_freeze(tmp_path)
    for content in ("", "[]", '{"team": "red"}', '{"team": "red", "code": 3}', "\ud800"):
        path.write_bytes(content.encode("utf-8", "surrogatepass"))
        with pytest.raises(ChallengeError, match="no freeze"):
            read_freeze(path)
    write_freeze(path, freeze_entry("red", parts))
    path.write_text(path.read_text().replace("match.py", "other.py"))
    with pytest.raises(ChallengeError, match="its digests do not fit its files"):
        read_freeze(path)


# Reference vectors


def test_the_digest_of_references_does_not_depend_on_the_layout(tmp_path: Path) -> None:
    digest = reference_digest(write_descriptors(tmp_path / "plain.h5"))
    assert digest == reference_digest(write_descriptors(tmp_path / "queries.h5", phase=2, seed=5))
    packed = write_descriptors(tmp_path / "packed.h5", chunks=True, compression="gzip")
    assert packed.read_bytes() != (tmp_path / "plain.h5").read_bytes()
    assert reference_digest(packed) == digest
    with h5py.File(tmp_path / "plain.h5", "r+") as file:
        vectors, names = file["reference"][:], file["reference_ids"][:]
        del file["reference"], file["reference_ids"]
        file["reference"] = vectors.astype(">f4")
        file["reference_ids"] = np.array([name.decode() for name in names], h5py.string_dtype())
    assert reference_digest(tmp_path / "plain.h5") == digest


def test_any_change_of_references_changes_their_digest(tmp_path: Path) -> None:
    def changed(change) -> str:
        path = write_descriptors(tmp_path / "changed.h5")
        with h5py.File(path, "r+") as file:
            vectors, names = file["reference"][:], file["reference_ids"][:]
            vectors, names = change(vectors, names)
            del file["reference"], file["reference_ids"]
            file["reference"], file["reference_ids"] = vectors, names
        return reference_digest(path)

    def one_bit(vectors, names):
        vectors.view(np.uint32)[3, 2] ^= 1
        return vectors, names

    digests = [
        changed(lambda vectors, names: (vectors, names)),
        changed(one_bit),
        changed(lambda vectors, names: (vectors[::-1], names)),
        changed(lambda vectors, names: (vectors, names[::-1])),
        changed(lambda vectors, names: (vectors[:-1], names[:-1])),
        changed(lambda vectors, names: (vectors.astype(np.float64), names)),
        changed(lambda vectors, names: (vectors.reshape(5, 8), names[:5])),
    ]
    assert len(set(digests)) == len(digests)


def test_reference_vectors_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "d.h5"
    for content in ({}, {"reference": [1.0]}, {"reference": [[1.0]], "reference_ids": [1]}, {"reference": [[1.0]]}):
        with h5py.File(path, "w") as file:
            for name, values in content.items():
                file[name] = values
        with pytest.raises(SubmissionError, match="can't be read"):
            reference_digest(path)
    with h5py.File(path, "w") as file:
        file["reference"], file["reference_ids"] = np.ones((3, 2), np.float32), np.array([b"a"])
    with pytest.raises(SubmissionError, match="must be of shapes"):
        reference_digest(path)


# In the ledger


def frozen(team: str, name: str = "match.py", references: str | None = None) -> Freeze:
    file = FrozenFile(name, "0" * 64)
    return Freeze(team, Code((file,), None), (), file, references)


def test_a_freeze_is_recorded_before_the_deadline_and_not_after(tmp_path: Path) -> None:
    clock = SetClock()
    with opened(tmp_path, clock) as host:
        first = record_freeze(host, frozen("red"))
        clock.now = FREEZING
        second = record_freeze(host, frozen("red", "other.py"))
        assert record_freeze(host, frozen("red")) == first  # again: nothing changes
        assert [(one.digest, one.time) for one in host.standing().freezes][1] == (second, FREEZING)
        assert len(host.standing().freezes) == 2
        assert freeze_digest(read_freeze(tmp_path / "freezes" / f"{first}.json")) == first
        clock.now = DEADLINE
        with pytest.raises(SubmissionError, match="entries had to be frozen before 2021-06-14T00:00:00Z"):
            record_freeze(host, frozen("red", "late.py"))
        (refusal,) = host.standing().refusals
        assert (refusal.code, refusal.digest) == ("late-freeze", freeze_digest(frozen("red", "late.py")))
        assert len(list((tmp_path / "freezes").iterdir())) == 2


def test_strangers_and_disqualified_teams_freeze_nothing(tmp_path: Path) -> None:
    with opened(tmp_path, SetClock()) as host:
        with pytest.raises(SubmissionError, match="no team 'green' is registered"):
            record_freeze(host, frozen("green"))
        assert host.standing().refusals == ()
        disqualify(host, "red", "copied")
        with pytest.raises(SubmissionError, match="team 'red' was disqualified: copied"):
            record_freeze(host, frozen("red"))
        assert [refusal.code for refusal in host.standing().refusals] == ["disqualified"]
        assert json.loads(json.dumps(frozen("red").to_dict())) == frozen("red").to_dict()
