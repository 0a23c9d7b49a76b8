"""Releases: a challenge's data sent to a place, fetched from it, and sealed until the opening.

A release is a set of files in a folder, behind a web address or in a bucket, with a ``release.json`` that lists them
and is written last. Images travel in tar shards, whose bytes follow from the manifest alone; those of a sealed release
in encrypted pieces that show nothing but how many bytes there are.
"""

from ectype.challenge.releases.commitment import commit_truth, verify_truth
from ectype.challenge.releases.contents import Contents
from ectype.challenge.releases.downloading import Manners, read_release
from ectype.challenge.releases.fetching import FetchOptions, FetchReport, fetch
from ectype.challenge.releases.listing import Release, ReleaseFile
from ectype.challenge.releases.places import Place, open_place
from ectype.challenge.releases.planning import Plan, plan_release
from ectype.challenge.releases.publishing import PublishReport, publish
from ectype.challenge.releases.sealing import SealPlan, SealReport, plan_seal, seal
from ectype.challenge.releases.secrets import Key, read_key
from ectype.challenge.releases.unsealing import UnsealReport, read_sealed, unseal

__all__ = [
    "Contents",
    "FetchOptions",
    "FetchReport",
    "Key",
    "Manners",
    "Place",
    "Plan",
    "PublishReport",
    "Release",
    "ReleaseFile",
    "SealPlan",
    "SealReport",
    "UnsealReport",
    "commit_truth",
    "fetch",
    "open_place",
    "plan_release",
    "plan_seal",
    "publish",
    "read_key",
    "read_release",
    "read_sealed",
    "seal",
    "unseal",
    "verify_truth",
]
