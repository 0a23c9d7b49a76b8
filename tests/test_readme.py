"""The README's examples do what they say."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from ectype.cli import main

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert found, f"the README has no {language} examples"
    return found


@pytest.fixture(autouse=True)
def in_a_folder_as_the_readme_assumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder_of_pictures: Callable[..., Path]
) -> None:
    folder_of_pictures(4, "references")
    folder_of_pictures(2, "queries")
    (tmp_path / "ground_truth.csv").write_text("query_id,reference_id\np000,p000\np001,p001\n")
    monkeypatch.chdir(tmp_path)


def test_commands(tmp_path: Path) -> None:
    lines = [line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines()]
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "ectype"
        assert main(arguments) == 0, line
    for name in ("matches.csv", "matches.html", "curve.png", "vectors.h5"):
        assert (tmp_path / name).exists()


def test_python(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(block, names)
    printed = capsys.readouterr().out
    assert "4 images stored, 0 skipped" in printed
    assert "p001 p001 " in printed
    assert "µAP 1.000, recall at precision 90: 1.0" in printed


def test_links_lead_somewhere() -> None:
    root = Path(__file__).parent.parent
    for page in [root / "README.md", *root.glob("docs/*.md"), root / "CONTRIBUTING.md", root / "benchmarks/README.md"]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"
