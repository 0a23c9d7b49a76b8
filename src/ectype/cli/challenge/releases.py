"""``ectype challenge publish``, ``fetch``, ``seal``, ``unseal``, ``commit`` and ``reveal``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import get_args

import click

from ectype.challenge.manifest import Role
from ectype.cli import options
from ectype.cli.output import DONE, print_figures, print_json, progress

_DATA_SET = click.Path(exists=True, file_okay=False)
_FILE = click.Path(exists=True, dir_okay=False)
_workers = click.option(
    "--workers", type=click.IntRange(1, 64), default=4, show_default=True, help="How many files at once."
)
_role = partial(click.option, "--role", "roles", multiple=True, type=click.Choice(get_args(Role)))
_manifest = click.option(
    "--manifest",
    default="manifest.csv",
    show_default=True,
    metavar="FILE",
    help="Path of the manifest below ROOT, such as manifest-phase2.csv.",
)
_commitment = click.option(
    "--commitment", metavar="HEX", help="Of the ground truth, which stays secret; `ectype challenge commit` makes it."
)


@click.command()
@click.argument("root", type=_DATA_SET)
@click.argument("place")
@_manifest
@_role(default=get_args(Role), show_default=True, help="Publish the images of this role; may be repeated.")
@click.option(
    "--include", multiple=True, metavar="FILE", help="Publish this file, too, such as public labels: a path below ROOT."
)
@_commitment
@click.option("--replace", is_flag=True, help="Put this release in the place of another one.")
@_workers
@options.json_option
def publish(
    root: str,
    place: str,
    manifest: str,
    roles: tuple[Role, ...],
    include: tuple[str, ...],
    commitment: str | None,
    replace: bool,
    workers: int,
    as_json: bool,
) -> int:
    """Send a data set, or a sealed release, to PLACE: a folder or s3://bucket/prefix.

    Of the data set in ROOT, the images and their manifest are sent, in tar files that are easy to download. The ground
    truth and the recipes stay with you. A list of everything, release.json, is written last; announce its SHA-256.
    Stopped in the middle, the same command goes on.
    """
    from ectype.challenge.releases import Contents, open_place, plan_release
    from ectype.challenge.releases import publish as publish_plan

    plan = plan_release(root, Contents(manifest, roles, include, commitment))
    with open_place(place) as target, progress("publishing (bytes)", 2 * plan.size) as tick:
        report = publish_plan(plan, target, replace=replace, workers=workers, on_progress=tick)
    figures = {
        "files": len(report.release.files),
        "sent": report.sent,
        "bytes": report.release.size,
        "sha256": report.release.sha256,
    }
    return _print(place, figures, as_json)


@click.command()
@click.argument("place")
@click.argument("root", type=click.Path(file_okay=False))
@_role(default=get_args(Role), show_default=True, help="Fetch the images of this role; may be repeated.")
@click.option("--expect", metavar="SHA256", help="Refuse any other release than the one the host announced.")
@click.option("--check", is_flag=True, help="Read all that is there already, and fetch again what is damaged.")
@_workers
@options.json_option
def fetch(
    place: str, root: str, roles: tuple[Role, ...], expect: str | None, check: bool, workers: int, as_json: bool
) -> int:
    """Fetch a release from PLACE into the folder ROOT.

    PLACE is a folder, https://..., http://... or s3://bucket/prefix. Everything is checked against the release's list
    and its manifest. Stopped in the middle, the same command goes on, in the middle of a file if the server allows it.
    A sealed release is fetched as it is; `ectype challenge unseal` opens it.
    """
    from ectype.challenge.releases import FetchOptions, Manners, open_place, read_release
    from ectype.challenge.releases import fetch as fetch_release

    manners = Manners(notify=partial(click.echo, err=True))
    with open_place(place) as source:
        release = read_release(source, expect, manners)
        with progress("fetching (bytes)", release.size) as tick:
            report = fetch_release(source, release, root, FetchOptions(roles, check, workers, manners), tick)
    figures = {
        "files fetched": report.fetched,
        "images": report.images,
        "sealed": release.is_sealed,
        "truth commitment": release.truth_commitment,
        "sha256": release.sha256,
    }
    return _print(root, figures, as_json)


@click.command()
@click.argument("root", type=_DATA_SET)
@click.argument("out", type=click.Path())
@click.argument("key", type=click.Path())
@_manifest
@_role(default=("query",), show_default=True, help="Seal the images of this role; may be repeated.")
@_commitment
@options.json_option
def seal(
    root: str, out: str, key: str, manifest: str, roles: tuple[Role, ...], commitment: str | None, as_json: bool
) -> int:
    """Encrypt images that must not be seen yet, with their manifest, so that teams can download them days ahead.

    The sealed release is written to the new folder OUT, which is published as any other; it shows how many bytes it
    has and nothing else. The file KEY opens it: keep it secret until the opening, then publish it.
    """
    from ectype.challenge.releases import Contents, plan_seal
    from ectype.challenge.releases import seal as seal_plan

    plan = plan_seal(root, Contents(manifest, roles, (), commitment))
    with progress("sealing (bytes)", plan.size) as tick:
        report = seal_plan(plan, out, key, on_progress=tick)
    figures = {
        "images": report.images,
        "files": len(report.release.files),
        "bytes": report.release.size,
        "sha256": report.release.sha256,
        "key": key,
    }
    return _print(out, figures, as_json)


@click.command()
@click.argument("sealed", type=_DATA_SET)
@click.argument("key", type=_FILE)
@click.argument("root", type=click.Path(file_okay=False))
@click.option("--check", is_flag=True, help="Read all images that are there already, and write the damaged ones again.")
@_workers
@options.json_option
def unseal(sealed: str, key: str, root: str, check: bool, workers: int, as_json: bool) -> int:
    """Open the sealed release in the folder SEALED with the host's KEY, into the folder ROOT.

    ROOT may be the folder of an earlier phase. Every image is checked. Stopped in the middle, the same command goes on.
    """
    from ectype.challenge.releases import read_key, read_sealed
    from ectype.challenge.releases import unseal as unseal_release

    release = read_sealed(sealed)
    with progress("unsealing (bytes)", release.size) as tick:
        report = unseal_release(sealed, read_key(key), root, check=check, workers=workers, on_progress=tick)
    return _print(root, {"images": report.images, "written": report.written}, as_json)


@click.command()
@click.argument("truth", type=_FILE)
@click.argument("salt", type=click.Path())
@options.json_option
def commit(truth: str, salt: str, as_json: bool) -> int:
    """Commit to the ground truth TRUTH before the challenge, so that everyone can verify it afterwards.

    Prints the commitment, for --commitment of publish and seal. The file SALT is written; keep it secret as long as
    TRUTH, then publish both.
    """
    from ectype.challenge.releases import commit_truth

    return _print(truth, {"commitment": commit_truth(truth, salt), "salt": salt}, as_json)


@click.command()
@click.argument("place")
@click.argument("truth", type=_FILE)
@click.argument("salt", type=_FILE)
@options.json_option
def reveal(place: str, truth: str, salt: str, as_json: bool) -> int:
    """Verify that TRUTH is the ground truth that the release at PLACE committed to.

    TRUTH and SALT are what the host has published after the challenge; PLACE is where the release was published, or
    the folder of a sealed one.
    """
    from ectype.challenge.releases import open_place, read_release, verify_truth

    with open_place(place) as source:
        commitment = read_release(source).truth_commitment
    verify_truth(truth, salt, commitment)
    return _print(truth, {"verified": True, "commitment": commitment}, as_json)


def _print(title: str, figures: Mapping[str, object], as_json: bool) -> int:
    if as_json:
        print_json({name.replace(" ", "_"): value for name, value in figures.items()})
    else:
        shown = {name: f"{value:,}" if type(value) is int else value for name, value in figures.items()}
        print_figures(title, {name: value for name, value in shown.items() if value is not None})
    return DONE


COMMANDS: tuple[click.Command, ...] = (publish, fetch, seal, unseal, commit, reveal)
