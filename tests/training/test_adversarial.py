from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ectype.challenge.making import ADVERSARIAL_ATTACK, DataSetPlan, bundled_attack, make_dataset
from ectype.descriptors import OnnxModel, load_model
from ectype.descriptors.installed import bundled_model
from ectype.errors import UsageError
from ectype.images import ImageItem
from ectype.transformations.materials import drawn_picture
from ectype_training.adversarial import DescriptorAttack


@pytest.fixture(scope="module")
def attack() -> DescriptorAttack:
    return DescriptorAttack.on_bundled_model()


@pytest.fixture(scope="module")
def model() -> OnnxModel:
    return load_model()


def psnr_of(before: np.ndarray, after: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(after.astype(np.float64) - before).mean()))


@pytest.mark.parametrize("psnr", [20.0, 30.0, 40.0])
@pytest.mark.parametrize("size", [(90, 120), (300, 250)])
def test_an_attack_has_the_wanted_noise_power_and_moves_the_descriptor_far_more_than_noise(
    attack: DescriptorAttack, model: OnnxModel, psnr: float, size: tuple[int, int]
) -> None:
    picture = drawn_picture(3, size)
    attacked = attack.attack(picture, psnr, 1)
    assert attacked.dtype == np.uint8 and attacked.shape == picture.shape
    assert abs(psnr_of(picture, attacked) - psnr) < 0.1
    noise = np.random.default_rng(0).normal(0, 255 / 10 ** (psnr / 20), picture.shape)
    noisy = np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)
    before, after, beside = model.describe([picture, attacked, noisy])
    assert before @ after < 0.5
    assert before @ after < before @ beside - 0.3


def test_the_same_arguments_give_the_same_bytes_and_another_seed_others(attack: DescriptorAttack) -> None:
    picture = drawn_picture(5, (64, 80))
    threads = torch.get_num_threads()
    first = attack.attack(picture, 30, 7)
    assert torch.get_num_threads() == threads
    assert np.array_equal(first, DescriptorAttack.on_bundled_model().attack(picture, 30, 7))
    assert not np.array_equal(first, attack.attack(picture, 30, 8))


@pytest.mark.parametrize("shade", [0, 255, 128])
def test_pictures_without_anything_in_them_can_be_attacked(attack: DescriptorAttack, shade: int) -> None:
    picture = np.full((20, 30, 3), shade, np.uint8)
    picture.setflags(write=False)
    attacked = attack.attack(picture, 35, 1)
    assert psnr_of(picture, attacked) == pytest.approx(35, abs=0.3)


def test_a_ratio_that_is_none_is_refused(attack: DescriptorAttack) -> None:
    for psnr in (0, -3, float("nan")):
        with pytest.raises(UsageError, match="above 0 dB"):
            attack.attack(drawn_picture(1, (20, 20)), psnr, 1)


def test_making_data_sets_finds_the_attack_and_names_its_features() -> None:
    attack = bundled_attack()
    assert isinstance(attack, DescriptorAttack)
    assert attack.fingerprint == bundled_model().card.sha256


def test_data_sets_with_attacks_are_the_same_with_any_number_of_processes(
    drawn: Callable[..., list[ImageItem]], tmp_path: Path
) -> None:
    plan = DataSetPlan(4, 4, 0, 3, kinds={ADVERSARIAL_ATTACK: 1, "hflip": 1})
    photographs = drawn(6)
    for jobs in (1, 2):
        report = make_dataset(tmp_path / f"{jobs}", photographs, plan, attack=bundled_attack, jobs=jobs)
        assert report.left_out == () and report.phases[0].kinds[ADVERSARIAL_ATTACK] > 0
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / jobs).rglob("*") if path.is_file()} for jobs in "12"
    )
    assert one == two
