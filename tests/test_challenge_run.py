"""Entries are run cut off from the network and from what they may not change, and end at their limits."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ectype.challenge.freezing.freeze import EntryParts, freeze_digest, freeze_entry, write_freeze
from ectype.challenge.manifest import ManifestEntry, write_manifest
from ectype.challenge.running.conditions import Conditions
from ectype.challenge.running.entry import Entry, Limits, read_entry
from ectype.challenge.running.frozen import require_frozen
from ectype.challenge.running.processes import descendants
from ectype.challenge.running.run import run_entry
from ectype.challenge.running.staging import Images, find_images
from ectype.cli import main
from ectype.errors import ChallengeError, DuplicateIdError, InvalidDataError, StorageError, SubmissionError, UsageError
from ectype.evaluation import read_matches
from entries.making import ISOLATED, make_entry, make_images

needs_namespaces = pytest.mark.skipif(not ISOLATED, reason="this machine allows no user namespaces")
both_ways = pytest.mark.parametrize("network", [pytest.param(False, marks=needs_namespaces), True])
ONE_WAY = not ISOLATED


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return make_images(tmp_path, 6, 8)


def run(entry: Entry, images: Images, output: Path, network: bool = ONE_WAY):
    return run_entry(entry, images, Conditions(entry.limits, network), output)


def processes_with(mark: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if mark.encode() in arguments:
            found.append(int(folder.name))
    return found


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"queries", "references", "entries"}


@both_ways
def test_an_honest_entry_is_run_and_its_submission_kept(tmp_path: Path, images: Images, network: bool) -> None:
    report = run(make_entry(tmp_path, "average_hash"), images, tmp_path / "out.csv", network)
    best = {match.query_id: match.reference_id for match in read_matches(tmp_path / "out.csv") if match.score == 1}
    assert best == {f"Q{number:05}": f"R{number:05}" for number in range(6)}
    assert (report.queries, report.references, report.pairs, report.network) == (6, 8, 30, network)
    assert report.seconds_per_query == pytest.approx(report.seconds / 6)
    assert report.peak_memory > 2**20
    assert left_in(tmp_path) == {"out.csv", "out.csv.stdout.txt", "out.csv.stderr.txt"}


@needs_namespaces
def test_the_sandbox_shows_an_entry_its_own_files_alone(tmp_path: Path, images: Images) -> None:
    secret = tmp_path / "ground_truth.csv"
    secret.write_text("Q00000,R00000\n")
    run(make_entry(tmp_path, "looks_around", str(secret)), images, tmp_path / "out.csv", network=False)
    seen = json.loads((tmp_path / "out.csv.stdout.txt").read_text())
    writable = {name for name, answer in seen["writable"].items() if answer}
    assert writable == {"home", "temporary", "shared memory"}
    assert set(seen["environment"]) - {"CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "LC_CTYPE"} == {
        "PATH",
        "HOME",
        "TMPDIR",
        "LANG",
        "PYTHONDONTWRITEBYTECODE",
    }
    assert seen["processes"] == 2  # its own and the guardian
    assert not seen["sees the secret"] and not seen["changed an image"]
    assert seen["beside the queries"] == ["code", "home", "output", "queries", "references"]
    assert seen["privileges"] == ["0" * 16]
    assert seen["python works"]


def test_without_the_sandbox_originals_are_safe_and_changes_are_noticed(tmp_path: Path, images: Images) -> None:
    before = {path: path.read_bytes() for path in images.references.values()}
    with pytest.raises(SubmissionError, match=r"it changed files in .*/references, where it may only read"):
        run(make_entry(tmp_path, "changes_images"), images, tmp_path / "out.csv", network=True)
    assert {path: path.read_bytes() for path in images.references.values()} == before
    assert not (tmp_path / "out.csv").exists()


@both_ways
def test_the_network_is_reached_only_if_it_is_allowed(tmp_path: Path, images: Images, network: bool) -> None:
    entry = make_entry(tmp_path, "network")
    with socket.create_server(("127.0.0.1", 0)) as server:
        (entry.folder / "port.txt").write_text(str(server.getsockname()[1]))
        report = run(entry, images, tmp_path / "out.csv", network)
    said = (tmp_path / "out.csv.stdout.txt").read_text()
    assert said.startswith("somebody answered" if network else "nobody answered")
    assert report.network is network


@both_ways
@pytest.mark.parametrize(
    ("name", "limits", "complaint"),
    [
        ("endless", "seconds = 1", "it was not done after 1 seconds"),
        ("hungry", "memory_mib = 64", "MiB of memory; its limit is 64 MiB"),
        ("many_processes", "processes = 5", "processes; its limit is 5"),
    ],
)
def test_an_entry_over_a_limit_ends_with_all_its_processes(
    tmp_path: Path, images: Images, network: bool, name: str, limits: str, complaint: str
) -> None:
    mark = f"mark-{tmp_path.name}-{os.getpid()}"
    with pytest.raises(SubmissionError, match=complaint):
        run(make_entry(tmp_path, name, mark, limits=limits), images, tmp_path / "out.csv", network)
    assert processes_with(mark) == []
    assert left_in(tmp_path) == {"out.csv.stdout.txt", "out.csv.stderr.txt"}


@both_ways
def test_memory_that_processes_share_counts_once(tmp_path: Path, images: Images, network: bool) -> None:
    entry = make_entry(tmp_path, "shares_memory", limits="memory_mib = 120")
    report = run(entry, images, tmp_path / "out.csv", network)
    assert 40 * 2**20 < report.peak_memory < 120 * 2**20


@both_ways
def test_no_process_of_an_entry_outlives_its_run(tmp_path: Path, images: Images, network: bool) -> None:
    mark = f"mark-{tmp_path.name}-{os.getpid()}"
    run(make_entry(tmp_path, "leaves_a_process", mark), images, tmp_path / "out.csv", network)
    assert processes_with(mark) == []


@both_ways
@pytest.mark.parametrize("victim", ["host", "launcher"])
def test_no_process_of_an_entry_outlives_a_kill(tmp_path: Path, images: Images, network: bool, victim: str) -> None:
    mark = f"mark-{tmp_path.name}-{os.getpid()}"
    entry = make_entry(tmp_path, "endless", mark)
    arguments = ["challenge", "run", str(entry.folder), "-o", str(tmp_path / "out.csv")]
    arguments += ["--queries", str(tmp_path / "queries"), "--references", str(tmp_path / "references")]
    arguments += ["--allow-network"] if network else []
    with subprocess.Popen([sys.executable, "-m", "ectype", *arguments], stderr=subprocess.DEVNULL) as host:
        try:
            while len(processes_with(mark)) < 2:  # the entry and its grandchild
                assert host.poll() is None
                time.sleep(0.02)
            os.kill(host.pid if victim == "host" else descendants(host.pid)[0], signal.SIGKILL)
            host.wait(30)
        finally:
            host.kill()
    for _ in range(500):
        if not processes_with(mark):
            break
        time.sleep(0.02)
    assert processes_with(mark) == []


@pytest.mark.parametrize(
    ("kind", "limits", "complaint"),
    [
        ("bytes", "", "its submission: not a CSV file|its submission: .* rows are wrong"),
        ("score", "", "the score 'nan' is no finite number"),
        ("stranger", "", "names the query 'Q99999', which it was not given"),
        ("link", "", "what it wrote to {output} is no file"),
        ("much", "output_mib = 1", "its submission has 2,000,000 bytes; its limit is 1 MiB"),
        ("file", "file_mib = 1", "(?s)failed with exit code.*File too large"),
        ("rows", "", "more than 500,000 rows"),
        ("exit", "", "(?s)exit code 1.*so far so good.*the weights are missing"),
        ("nothing", "", "wrote no submission"),
    ],
)
def test_rubbish_is_refused_and_what_stood_there_stays(
    tmp_path: Path, images: Images, kind: str, limits: str, complaint: str
) -> None:
    (tmp_path / "out.csv").write_text("kept")
    with pytest.raises(SubmissionError, match=complaint):
        run(make_entry(tmp_path, "rubbish", kind, limits=limits), images, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "kept"


@needs_namespaces
def test_nothing_is_kept_from_run_to_run(tmp_path: Path, images: Images) -> None:
    entry = make_entry(tmp_path, "keeps_state")
    outputs = [tmp_path / "first.csv", tmp_path / "second.csv"]
    for output in outputs:
        run(entry, images, output)
    first, second = (output.read_text() for output in outputs)
    assert first == second
    with pytest.raises(SubmissionError, match="it changed files in"):
        run(entry, images, tmp_path / "third.csv", network=True)


def test_a_program_that_is_not_there_is_named(tmp_path: Path, images: Images) -> None:
    entry = replace(make_entry(tmp_path, "average_hash"), command=("no-such-program", "{queries}{references}{output}"))
    with pytest.raises(SubmissionError, match=r"'no-such-program' can't be started: .*No such file.*--readable"):
        run(entry, images, tmp_path / "out.csv")


@needs_namespaces
def test_an_environment_elsewhere_can_be_made_readable(tmp_path: Path, images: Images) -> None:
    program = tmp_path / "environment" / "bin" / "program"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\ntouch "$3"\n')
    program.chmod(0o755)
    entry = replace(
        make_entry(tmp_path, "average_hash"), command=(str(program), "{queries}", "{references}", "{output}")
    )
    with pytest.raises(SubmissionError, match="can't be started"):
        run(entry, images, tmp_path / "out.csv")
    conditions = Conditions(entry.limits, readable=(tmp_path / "environment",))
    assert run_entry(entry, images, conditions, tmp_path / "out.csv").pairs == 0


@pytest.mark.skipif(not ISOLATED, reason="needs a namespace in which there can be no other")
def test_a_kernel_that_refuses_namespaces_is_not_worked_around_in_silence(tmp_path: Path, images: Images) -> None:
    entry = make_entry(tmp_path, "average_hash")
    arguments = ["challenge", "run", str(entry.folder), "-o", str(tmp_path / "out.csv")]
    arguments += ["--queries", str(tmp_path / "queries"), "--references", str(tmp_path / "references")]
    refusing = (
        "import sys; from pathlib import Path; from ectype.challenge.running import namespaces; namespaces.enter()\n"
        "Path('/proc/sys/user/max_user_namespaces').write_text('0')\n"
        "import os; child = os.fork()\n"  # the first of its PID namespace
        "if child: sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'ectype', *sys.argv[1:]])\n"
    )
    done = subprocess.run([sys.executable, "-c", refusing, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "(unshare: No space left on device)" in done.stderr and "--allow-network" in done.stderr
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "there is no such file; an entry is a folder of code with entry.toml"),
        ("command = ", "not a TOML file"),
        ("", "it needs a command"),
        ("command = 'python'", "it needs a command, which is a list of texts"),
        ("command = []", "list of texts, none of them empty"),
        ("command = ['a', 3]", "list of texts, none of them empty"),
        ("command = ['a', '{queries}', '{output}']", "{references} is missing"),
        ("comand = []", "comand is unknown; known are command, limits"),
        ("command = ['a']\nlimits = 3", "only as a table"),
        ("command = ['{queries}{references}{output}']\n[limits]\nhours = 3", "hours is unknown; known are seconds"),
        ("command = ['{queries}{references}{output}']\n[limits]\nseconds = 1.5", "seconds must be a whole number"),
        ("command = ['{queries}{references}{output}']\n[limits]\nprocesses = 0", "processes must be a whole number"),
    ],
)
def test_a_description_that_means_no_entry_says_why(tmp_path: Path, content: str | None, complaint: str) -> None:
    if content is not None:
        (tmp_path / "entry.toml").write_text(content)
    with pytest.raises(ChallengeError, match=complaint) as caught:
        read_entry(tmp_path)
    assert str(tmp_path / "entry.toml") in str(caught.value)


def test_placeholders_are_replaced_wherever_they_stand() -> None:
    entry = Entry(Path("/code"), ("run", "--in={queries}:{references}", "{output}", "{other}"))
    assert entry.command_for("/q", "/r", "/o.csv") == ["run", "--in=/q:/r", "/o.csv", "{other}"]


def test_images_come_from_a_folder_or_a_manifest(tmp_path: Path, images: Images) -> None:
    entries = [
        ManifestEntry(role, name, path.relative_to(tmp_path).as_posix(), 1, "0" * 64)
        for role, files in (("query", images.queries), ("reference", images.references))
        for name, path in files.items()
    ]
    write_manifest(tmp_path / "manifest.csv", entries)
    assert find_images(tmp_path / "manifest.csv", "query") == images.queries
    with pytest.raises(ChallengeError, match="at least one query and one reference"):
        Images(find_images(tmp_path / "manifest.csv", "training"), images.references)
    images.queries["Q00003"].unlink()
    with pytest.raises(InvalidDataError, match=r"Q00003\.png: this is no image file"):
        find_images(tmp_path / "manifest.csv", "query")
    with pytest.raises(UsageError, match="no such file or folder"):
        find_images(tmp_path / "nowhere", "query")
    (tmp_path / "queries" / "Q00002.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(DuplicateIdError, match="two images have the id 'Q00002'"):
        find_images(tmp_path / "queries", "query")


def test_wrong_conditions_are_refused(tmp_path: Path, images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (tmp_path / "nowhere", Path("/"), Path("/tmp")):  # noqa: S108  # it may not be used
        with pytest.raises(UsageError, match="can't be made readable"):
            Conditions(Limits(), readable=(place,))
    with pytest.raises(StorageError, match="its folder does not exist"):
        run(make_entry(tmp_path, "average_hash"), images, tmp_path / "no" / "out.csv")
    with pytest.raises(ChallengeError, match="can't be the name of a file"):
        run(
            make_entry(tmp_path, "average_hash"),
            replace(images, queries={"a/b": tmp_path / "queries" / "Q00000.png"}),
            tmp_path / "out.csv",
        )
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ChallengeError, match="Linux"):
        Conditions(Limits())


def test_the_command_runs_what_was_frozen_and_nothing_else(
    tmp_path: Path, images: Images, capsys: pytest.CaptureFixture[str]
) -> None:
    code = make_entry(tmp_path, "average_hash").folder
    weights, environment = tmp_path / "weights.bin", tmp_path / "uv.lock"
    weights.write_bytes(b"w")
    environment.write_text("numpy==2.0\n")
    write_freeze(tmp_path / "freeze.json", freeze_entry("team", EntryParts(code, (weights,), environment)))
    arguments = ["challenge", "run", str(code), "-o", str(tmp_path / "out.csv"), "--json"]
    arguments += ["--queries", str(tmp_path / "queries"), "--references", str(tmp_path / "references")]
    arguments += ["--limit", "seconds=60", *([] if ISOLATED else ["--allow-network"])]
    frozen = ["--freeze", str(tmp_path / "freeze.json"), "--weights", str(weights), "--environment", str(environment)]
    assert main([*arguments, *frozen]) == 0
    report = json.loads(capsys.readouterr().out)
    assert len(report["freeze"]) == 64 and report["pairs"] == 30 and report["seconds_per_query"] > 0
    assert main([*arguments, *frozen[:2]]) == 2
    assert "go together" in capsys.readouterr().err
    assert main([*arguments, "--limit", "hours=3"]) == 2
    assert "'hours=3' is none of seconds=NUMBER" in capsys.readouterr().err
    with open(code / "average_hash.py", "a") as file:
        file.write("# better\n")
    assert main([*arguments, *frozen]) == 3
    assert "this is not the entry that was frozen" in capsys.readouterr().err


def test_files_that_git_ignores_are_no_way_around_a_freeze(tmp_path: Path, images: Images) -> None:
    code = make_entry(tmp_path, "average_hash").folder
    (code / ".gitignore").write_text("*.so\n")
    environment = tmp_path / "uv.lock"
    environment.write_text("numpy==2.0\n")
    identity = ("-c", "user.name=team", "-c", "user.email=team@example.org")
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "freeze"]):
        subprocess.run(["git", *words], cwd=code, check=True)
    parts = EntryParts(code, (), environment)
    write_freeze(tmp_path / "freeze.json", freeze := freeze_entry("team", parts))
    assert require_frozen(tmp_path / "freeze.json", parts) == freeze_digest(freeze)
    (code / "numpy.so").write_bytes(b"another numpy")
    with pytest.raises(SubmissionError, match=r"1 files there are not frozen, and could be code: numpy\.so"):
        require_frozen(tmp_path / "freeze.json", parts)
