"""The ``challenge.toml`` that a new challenge starts from."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from pathlib import Path

from ectype.challenge.hosting.settings import PHASE2_LENGTH, PHASE2_SUBMISSIONS, SETTINGS_FILE, as_utc_text
from ectype.errors import ChallengeError
from ectype.storage import replacing, storage_error

_TEMPLATE = """\
# The settings of a challenge. They can be changed until `ectype challenge open`, and not afterwards.
# Times need a time zone: Z is UTC. A window includes the moment it opens and excludes the moment it closes.

name = "{name}"
tracks = ["matching", "descriptor"]  # or one of them
prizes = 3  # how many eligible teams are ranked for them

[phase1]  # for developing: half of the labels are public, and so is the score on them
opens = {phase1_opens}
closes = {phase1_closes}
manifest = "{data}/manifest.csv"  # paths are relative to this file
ground_truth = "{data}/ground_truth.csv"
submissions = 200  # of a team, in each track
submissions_a_day = 5  # by the day of UTC; without this line, only the limit above counts
public_share = 0.5  # of the queries, whose labels are public
salt = "{salt}"  # decides which ones; keep it to yourself

[freeze]  # code, weights, environment and reference descriptors
deadline = {deadline}

[phase2]  # for ranking: frozen entries on new queries
opens = {phase2_opens}
closes = {phase2_closes}  # without this line, 48 hours after the opening
manifest = "{data}/manifest-phase2.csv"
ground_truth = "{data}/phase2/ground_truth.csv"
submissions = {submissions}
"""


def create_challenge(folder: Path, name: str, data: str, now: datetime) -> Path:
    """Make a challenge's folder with settings to be looked through: phase 1 from tomorrow on, 90 days; phase 2 in 100.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    name : str
    data : str
        Folder of the data, absolute or relative to `folder`.
    now : datetime
        With a time zone.

    Returns
    -------
    Path
        Of the settings.

    Raises
    ------
    ChallengeError
        Settings are there already, or the name or the data folder is none.
    StorageError
        The disk refuses.
    """
    path = folder / SETTINGS_FILE
    if path.exists():
        raise ChallengeError(f"{path}: is there already; edit it, or create the challenge in another folder")
    for what, text in (("name", name), ("data folder", data)):
        if not text.strip() or not text.isprintable() or '"' in text or "\\" in text:
            raise ChallengeError(f"a challenge's {what} is one line without quotes and backslashes, not {text!r}")
    tomorrow = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    closes, phase2 = tomorrow + timedelta(days=90), tomorrow + timedelta(days=100)
    content = _TEMPLATE.format(
        name=name,
        data=data,
        phase1_opens=as_utc_text(tomorrow),
        phase1_closes=as_utc_text(closes),
        salt=secrets.token_hex(16),
        deadline=as_utc_text(closes + timedelta(days=5)),
        phase2_opens=as_utc_text(phase2),
        phase2_closes=as_utc_text(phase2 + PHASE2_LENGTH),
        submissions=PHASE2_SUBMISSIONS,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(folder, error) from error
    with replacing(path) as temporary:
        temporary.write_text(content, "utf-8")
    return path
