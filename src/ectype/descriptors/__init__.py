"""Descriptors: the contract of a model, the models that are ONNX files, and the pipeline that runs them."""

from ectype.descriptors.card import ModelCard, read_card
from ectype.descriptors.contract import DescriptorModel, StorableModel
from ectype.descriptors.extraction import DescribedImage, describe_images, describe_items
from ectype.descriptors.files import read_descriptors, write_descriptors
from ectype.descriptors.finding import list_models, load_model
from ectype.descriptors.installed import InstalledModel
from ectype.descriptors.model import OnnxModel
from ectype.descriptors.model_store import ModelStore
from ectype.descriptors.shards import describe_to_file

__all__ = [
    "DescribedImage",
    "DescriptorModel",
    "InstalledModel",
    "ModelCard",
    "ModelStore",
    "OnnxModel",
    "StorableModel",
    "describe_images",
    "describe_items",
    "describe_to_file",
    "list_models",
    "load_model",
    "read_card",
    "read_descriptors",
    "write_descriptors",
]
