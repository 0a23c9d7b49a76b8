"""A page from a template: one HTML file, which needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from ectype import __version__
from ectype.storage import replacing


def write_page(path: str | Path, package: str, template: str, content: Mapping[str, object]) -> None:
    """Fill a template in and write it, in one step.

    Parameters
    ----------
    path : str or Path
    package, template : str
        The package that the template lies in, and its file name. All that it names must be in `content`; text is
        escaped.
    content : mapping
        By the template's names; Ectype's version is there as ``version``.

    Raises
    ------
    StorageError
        The disk refused.
    """
    import jinja2

    source = (resources.files(package) / template).read_text("utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(source).render(content, version=__version__)
    with replacing(path) as temporary:
        temporary.write_text(page, "utf-8")
