from __future__ import annotations

from pathlib import Path

import pytest

from ectype.errors import InvalidDataError
from ectype_training.config import Config, read_config


def test_a_file_is_read_with_defaults_for_what_it_does_not_say(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('steps = 10\nrate = 1\nleave_out = ["crop"]\nbfloat16 = true\n')
    config = read_config(path)
    assert (config.steps, config.rate, config.leave_out, config.bfloat16) == (10, 1.0, ("crop",), True)
    assert config.size == Config(steps=1).size


def test_plain_values_give_the_same_configuration_again() -> None:
    config = Config(steps=5, minutes=2.5, often=("crop",), start="random")
    assert Config.from_dict(config.to_dict(), "test") == config


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rate = 1e-3", "'steps' is missing"),
        ("steps = 10\nstep = 3", "unknown setting step"),
        ("steps = 0", "steps must be at least 1"),
        ("steps = 1.5", "whole number"),
        ("steps = true", "whole number"),
        ('steps = "10"', "whole number"),
        ("steps = 1\nrate = -1", "rate must be above 0"),
        ("steps = 1\nrate = nan", "rate must be above 0"),
        ("steps = 1\nrate = true", "rate must be a number"),
        ("steps = 1\nbfloat16 = 1", "true or false"),
        ("steps = 1\nsize = 90\nscales = 3", "a size of 90 can't be halved for 3 scales"),
        ("steps = 1\nlooks = 0", "looks must be at least 1"),
        ("steps = 1\naveraging = 0.5", "at least one step"),
        ("steps = 1\nanchor_weight = -1", "at least 0"),
        ("steps = 1\nplaces_weight = -1", "at least 0"),
        ('steps = 1\nplaces_weight = 1\nobjective = "contrast"', "for the objective 'distillation'"),
        ("steps = 1\nanchor_weight = 1\nfollow = 0.3", "anchor nothing"),
        ("steps = 1\nfollow = 1", "from 0 to less than 1"),
        ("steps = 1\nunedited = 2", "share from 0 to 1"),
        ("steps = 1\ndimension = 512", "from 1 to 256"),
        ('steps = 1\nobjective = "both"', "objective must be"),
        ('steps = 1\nobjective = "imitation"', "a model to imitate belongs to the objective 'imitation'"),
        ('steps = 1\nmodel = "earlier.onnx"', "a model to imitate belongs to the objective 'imitation'"),
        ('steps = 1\nleave_out = ["teleport"]', "no kind of edit named 'teleport'"),
        ("steps = 1\nleave_out = [3]", "list of texts"),
        ("steps = ", "not a readable TOML file"),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(InvalidDataError, match=says) as caught:
        read_config(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match=r"absent\.toml"):
        read_config(tmp_path / "absent.toml")
