"""The edits that make copies, each with recorded parameters and known geometry."""

from ectype.transformations.geometry import Geometry
from ectype.transformations.kinds import Kind, Transformed
from ectype.transformations.materials import Materials
from ectype.transformations.recipe import KINDS, Edit, Recipe, sample_recipe

__all__ = ["KINDS", "Edit", "Geometry", "Kind", "Materials", "Recipe", "Transformed", "sample_recipe"]
