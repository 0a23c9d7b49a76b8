"""Ectype finds which image of a large reference collection a query image was copied from, however it was edited.

The public names are listed in ``__init__.pyi``; each is imported when it is first used, so that ``import ectype`` is
quick and pulls in no heavy library.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]
