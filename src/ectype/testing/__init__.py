"""What every implementation of a contract must do, as test classes to inherit from; and a model to test with.

.. code-block:: python

    from ectype.testing import IndexConformance

    class TestMyIndex(IndexConformance):
        def make(self, dimension):
            return MyIndex(dimension)
"""

from ectype.testing.conformance import DescriptorModelConformance, IndexConformance
from ectype.testing.thumbnail_model import ThumbnailModel

__all__ = ["DescriptorModelConformance", "IndexConformance", "ThumbnailModel"]
