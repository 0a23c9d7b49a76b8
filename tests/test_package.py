from __future__ import annotations

import subprocess
import sys

import pytest

import ectype

HEAVY = "cv2 faiss h5py jinja2 matplotlib onnxruntime openvino PIL pillow_heif simplejpeg skimage torch numpy".split()


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_importing_ectype_imports_nothing_heavy() -> None:
    assert run(f"import sys, ectype; print([name for name in {HEAVY} if name in sys.modules])").strip() == "[]"


def test_the_metric_needs_no_model() -> None:
    heavy = [name for name in HEAVY if name != "numpy"]
    code = f"import sys; from ectype import evaluate; print([name for name in {heavy} if name in sys.modules])"
    assert run(code).strip() == "[]"


def test_the_public_names_are_these() -> None:
    assert sorted(ectype.__all__) == sorted(
        """
        AddReport Calibration Collection DescriptorModel DescriptorSet EctypeError Evaluation Evidence GroundTruth
        ImageItem ImageLimits Match MatchReport Matcher ModelCard ModelStore Neighbours Reference SkippedImage
        Verification __version__ compare_images describe_items describe_to_file evaluate list_images list_models
        load_model match_by_descriptor match_descriptors match_images plot_precision_recall read_descriptors
        read_ground_truth read_image read_matches write_descriptors write_ground_truth
        write_matches
        """.split()
    )


@pytest.mark.parametrize("name", ectype.__all__)
def test_every_public_name_is_there_and_explained(name: str) -> None:
    if name != "__version__":
        assert getattr(ectype, name).__doc__
