from __future__ import annotations

import json

import numpy as np
import pytest

from conftest import draw_picture
from ectype.errors import InvalidDataError
from ectype.transformations import KINDS, Edit, Materials, Recipe, sample_recipe
from ectype.transformations.mixtures import PARTS

OF_THE_CHALLENGE = """
change_aspect_ratio hflip vflip pad_square perspective pixelization overlay_text pil_filter encoding_quality ig_filter
overlay_emoji grayscale rotate saturation shuffle_pixels clip_image_size random_noise brightness legofy ar_effect
convert_color overlay_stripes blur overlay_onto_screenshot crop overlay_onto_image overlay_blurred_mask collage
""".split()

MOVING = [name for name, kind in KINDS.items() if kind.family in ("spatial", "warps", "compositions")]
PIXELS = np.asarray(draw_picture(3, (200, 150)))


def test_every_kind_of_the_challenge_is_there() -> None:
    assert set(OF_THE_CHALLENGE) <= set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_the_recorded_parameters_give_the_same_bytes_again(name: str) -> None:
    kind = KINDS[name]
    rng = np.random.default_rng(len(name))
    for _ in range(4):
        parameters = kind.sample(rng, (200, 150))
        before = PIXELS.copy()
        one = kind.apply(PIXELS, parameters, Materials())
        other = kind.apply(PIXELS, json.loads(json.dumps(parameters)), Materials())
        assert np.array_equal(one.pixels, other.pixels)
        assert np.array_equal(PIXELS, before)
        assert one.pixels.dtype == np.uint8
        assert one.geometry.source_size == (200, 150)
        assert one.geometry.result_size == one.pixels.shape[1::-1]


@pytest.mark.parametrize("name", sorted(set(KINDS) - {"hflip", "vflip", "grayscale"}))
def test_no_two_draws_are_the_same(name: str) -> None:
    rng = np.random.default_rng(0)
    drawn = {json.dumps(KINDS[name].sample(rng, (200, 150))) for _ in range(40)}
    assert len(drawn) > 1


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (2, 90), (90, 2), (33, 32)])
def test_pictures_of_awkward_sizes_are_edited_too(name: str, size: tuple[int, int]) -> None:
    pixels = np.asarray(draw_picture(1, size))
    rng = np.random.default_rng(1)
    result = KINDS[name].apply(pixels, KINDS[name].sample(rng, size), Materials())
    assert result.pixels.size > 0
    assert result.geometry.result_size == result.pixels.shape[1::-1]


def map_of_itself(width: int, height: int) -> np.ndarray:
    """A picture whose red is its x and whose green is its y, and whose blue marks it."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([x / width * 255, y / height * 255, np.full_like(x, 128)], axis=2).round().astype(np.uint8)


@pytest.mark.parametrize("name", MOVING)
def test_the_geometry_says_where_the_pixels_went(name: str) -> None:
    width, height = 240, 200
    pixels = map_of_itself(width, height)
    kind = KINDS[name]
    rng = np.random.default_rng(7)
    checked = 0
    for _ in range(12):
        parameters = kind.sample(rng, (width, height))
        for value, nothing_mixed in (("opacity", 1.0), ("share", 0.0)):
            if value in parameters:
                parameters[value] = nothing_mixed
        done = kind.apply(pixels, parameters, Materials())
        inside = rng.uniform(0.12, 0.88, (60, 2)) * (width, height)
        places = done.geometry.to_result(inside)
        assert np.allclose(done.geometry.to_source(places), inside, atol=0.2)
        seen = (places > 1).all(axis=1) & (places < np.array(done.geometry.result_size) - 1).all(axis=1)
        column, row = places[seen].astype(int).T
        colours = done.pixels[row, column].astype(float)
        ours = np.abs(colours[:, 2] - 128) < 6  # not covered by something else
        found = colours[ours, :2] / 255 * (width, height)
        if len(found):
            # One pixel of rounding in the result may be several of the source, where it was shrunk.
            shrunk = max(1.0, width / max(1.0, np.ptp(done.geometry.to_result([(0, 0), (width, height)])[:, 0])))
            error = np.linalg.norm(found - inside[seen][ours], axis=1)
            assert np.median(error) < 2.5 * shrunk, parameters
            checked += len(found)
    assert checked > 100


def test_geometry_follows_a_chain() -> None:
    recipe = Recipe(
        (
            Edit("hflip", {}),
            Edit("crop", {"left": 0.25, "top": 0.0, "width": 0.5, "height": 1.0}),
            Edit("quarter_turn", {"turns": 1}),
        )
    )
    done = recipe.apply(np.zeros((100, 200, 3), np.uint8))
    assert done.geometry.source_size == (200, 100)
    assert done.geometry.result_size == (100, 100)
    # (60, 10) is mirrored to (140, 10), cropped to (90, 10), and turned clockwise to (90, 90).
    assert np.allclose(done.geometry.to_result([(60.0, 10.0)]), [(90, 90)])
    assert np.allclose(done.geometry.to_source([(90.0, 90.0)]), [(60, 10)])


def test_recipes_come_back_from_json_and_do_the_same() -> None:
    rng = np.random.default_rng(5)
    for _ in range(30):
        recipe = sample_recipe(rng, (200, 150), length=4)
        again = Recipe.from_json(recipe.to_json())
        assert again == Recipe(tuple(Edit(edit.kind, dict(edit.parameters)) for edit in recipe.edits))
        assert np.array_equal(recipe.apply(PIXELS).pixels, again.apply(PIXELS).pixels)


def test_the_same_seed_draws_the_same_recipe() -> None:
    drawn = [sample_recipe(np.random.default_rng(9), (64, 64)).to_json() for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_a_chain_does_not_grow_without_end() -> None:
    recipe = Recipe(tuple(Edit("pad", {"across": 0.5, "along": 0.5, "fill": [0, 0, 0]}) for _ in range(6)))
    done = recipe.apply(PIXELS)
    assert max(done.pixels.shape) <= 1024
    assert done.geometry.result_size == done.pixels.shape[1::-1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a recipe"),
        ("[1]", "not a recipe"),
        ('[{"kind": "hflip"}]', "not a recipe"),
        ('[{"kind": "hologram", "parameters": {}}]', "no kind of edit named 'hologram'"),
    ],
)
def test_what_is_no_recipe_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidDataError, match=message):
        Recipe.from_json(text)


@pytest.mark.parametrize("cover", [0.2, 0.5])
def test_a_mask_of_noise_hides_the_share_it_says(cover: float) -> None:
    grey = np.full((150, 200, 3), 100, np.uint8)
    rng = np.random.default_rng(4)
    for _ in range(20):
        parameters = KINDS["noise_mask"].sample(rng, (200, 150))
        parameters.update(cover=cover, softness=0.01, fill="colour", colour=[255, 0, 0])
        hidden = KINDS["noise_mask"].apply(grey, parameters, Materials()).pixels[..., 1] < 50
        assert abs(hidden.mean() - cover) < 0.05, parameters


def test_random_filters_and_colours_keep_the_places_of_things() -> None:
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[20:40, 30:50] = (200, 120, 40)
    rng = np.random.default_rng(6)
    for name in ("random_filter", "colour_matrix"):
        for _ in range(20):
            done = KINDS[name].apply(pixels, KINDS[name].sample(rng, (80, 60)), Materials()).pixels.astype(int)
            far = np.abs(done[:10] - done[0, 0]).max() + np.abs(done[:, :10] - done[0, 0]).max()
            assert far <= 2, name  # nothing happens where nothing was


def test_a_patchwork_changes_no_more_than_it_says() -> None:
    grey = np.full((150, 200, 3), 100, np.uint8)
    rng = np.random.default_rng(7)
    changed = []
    for _ in range(40):
        parameters = KINDS["patchwork"].sample(rng, (200, 150)) | {"way": "invert", "columns": 4, "rows": 4}
        now = (KINDS["patchwork"].apply(grey, parameters, Materials()).pixels != 100).any(axis=2).mean()
        assert now <= parameters["cover"], parameters
        changed.append(now / parameters["cover"])
    assert np.mean(changed) > 0.7


def test_a_warp_of_noise_never_folds() -> None:
    rng = np.random.default_rng(8)
    points = rng.uniform((2, 2), (198, 148), (4000, 2))
    for _ in range(20):
        parameters = KINDS["noise_warp"].sample(rng, (200, 150))
        to_source = KINDS["noise_warp"].apply(PIXELS, parameters, Materials()).geometry.to_source
        (ax, ay), (bx, by) = ((to_source(points + step) - to_source(points)).T for step in ((0.01, 0), (0, 0.01)))
        assert (ax * by > ay * bx).all(), parameters


def test_a_part_edit_is_its_chain_where_it_is_whole_and_less_where_it_is_not() -> None:
    edits = [{"kind": "invert", "parameters": {"share": 1.0}}]
    for seed in range(10):
        parameters = {"seed": seed, "edits": edits, "way": "everywhere", "cells": 3, "share": 1.0}
        whole = KINDS["part_edit"].apply(PIXELS, parameters, Materials()).pixels
        assert np.array_equal(whole, 255 - PIXELS)
        places = KINDS["part_edit"].apply(PIXELS, parameters | {"way": "places"}, Materials()).pixels
        kept, changed = (np.isclose(places, to, atol=1).all(axis=2).mean() for to in (PIXELS, whole))
        assert kept > 0.2 and changed > 0.2
        channels = KINDS["part_edit"].apply(PIXELS, parameters | {"way": "channels"}, Materials()).pixels
        assert not np.array_equal(channels, PIXELS) and not np.array_equal(channels, whole)


def test_a_part_edit_is_made_of_kinds_that_leave_places_as_they_are() -> None:
    crop = {"kind": "crop", "parameters": {"left": 0.0, "top": 0.0, "width": 0.5, "height": 0.5}}
    parameters = {"seed": 1, "edits": [crop], "way": "everywhere", "cells": 3, "share": 1.0}
    with pytest.raises(InvalidDataError, match=r"part_edit: the parameters .* can't be used: 'crop'"):
        KINDS["part_edit"].apply(PIXELS, parameters, Materials())
    rng = np.random.default_rng(2)
    for kind in PARTS.values():
        assert kind.apply(PIXELS, kind.sample(rng, (200, 150)), Materials()).geometry.steps == ()


def test_nothing_of_a_picture_crosses_over_from_itself() -> None:
    itself = Materials([lambda: PIXELS])
    rng = np.random.default_rng(3)
    for _ in range(10):
        done = KINDS["crossed_bands"].apply(PIXELS, KINDS["crossed_bands"].sample(rng, (200, 150)), itself).pixels
        assert np.abs(done.astype(int) - PIXELS).max() <= 3  # of which the colours' rounding is two


def test_what_is_laid_over_goes_the_way_its_mode_says() -> None:
    rng = np.random.default_rng(4)
    for mode, sign in (("lightest", 1), ("screen", 1), ("darkest", -1), ("multiply", -1)):
        parameters = KINDS["laid_over"].sample(rng, (200, 150)) | {"mode": mode}
        change = KINDS["laid_over"].apply(PIXELS, parameters, Materials()).pixels.astype(int) - PIXELS
        assert (sign * change >= 0).all() and (sign * change > 20).any()


def test_a_random_spectrum_keeps_mean_and_contrast() -> None:
    noise = np.random.default_rng(9).normal(128, 12, (150, 200, 3)).astype(np.uint8)
    rng = np.random.default_rng(10)
    for _ in range(20):
        done = KINDS["random_spectrum"].apply(noise, KINDS["random_spectrum"].sample(rng, (200, 150)), Materials())
        assert np.allclose(done.pixels.mean((0, 1)), noise.mean((0, 1)), atol=1)
        assert np.allclose(done.pixels.std((0, 1)), noise.std((0, 1)), rtol=0.1)


def test_wrong_parameters_are_refused_by_name() -> None:
    with pytest.raises(InvalidDataError, match=r"blur: takes the parameters \['radius'\], not \['amount'\]"):
        Recipe((Edit("blur", {"amount": 3}),)).apply(PIXELS)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [("blur", {"radius": "much"}), ("screen_photo", {"seed": 1, "camera": {"tilt": 3}}), ("wave", {"axis": "z"})],
)
def test_values_that_can_not_be_are_refused_by_name(kind: str, parameters: dict[str, object]) -> None:
    drawn = KINDS[kind].sample(np.random.default_rng(0), (200, 150))
    with pytest.raises(InvalidDataError, match=f"{kind}: the parameters .* can't be used"):
        Recipe((Edit(kind, drawn | parameters),)).apply(PIXELS)


def test_photographs_are_used_where_there_are_some() -> None:
    red = np.zeros((10, 10, 3), np.uint8)
    red[..., 0] = 255
    materials = Materials([lambda: red])
    edit = {"other": 5, "width": 0.5, "left": 0.25, "top": 0.25, "opacity": 1.0}
    result = KINDS["overlay_image"].apply(PIXELS, edit, materials)
    assert result.pixels[75, 100].tolist() == [255, 0, 0]
