"""The photographs of the demonstration."""

from __future__ import annotations

from pathlib import Path

from ectype.errors import MissingPackageError

_PHOTOGRAPHS = (
    "astronaut.png brick.png camera.png cell.png chelsea.png clock_motion.png coffee.png coins.png color.png grass.png "
    "gravel.png hubble_deep_field.jpg ihc.png moon.png motorcycle_left.png page.png retina.jpg rocket.jpg text.png"
).split()


def packaged_photographs() -> list[Path]:
    """The photographs that scikit-image ships.

    Raises
    ------
    MissingPackageError
        scikit-image is not installed.
    """
    try:
        import skimage
    except ImportError as error:
        raise MissingPackageError(
            "the demonstration takes its photographs from scikit-image: pip install 'ectype[demo]', "
            "or give a folder of your own with --images"
        ) from error
    folder = Path(skimage.__file__).parent / "data"
    return [folder / name for name in _PHOTOGRAPHS if (folder / name).is_file()]
