"""Models by name or path."""

from __future__ import annotations

from pathlib import Path

from ectype.descriptors.installed import InstalledModel, bundled_model, installed_model
from ectype.descriptors.model import MODEL_FILE, OnnxModel
from ectype.descriptors.model_store import ModelStore
from ectype.descriptors.runtimes import RuntimeName
from ectype.errors import ModelError


def load_model(
    path_or_name: str | Path | None = None, *, runtime: RuntimeName = "auto", store: ModelStore | None = None
) -> OnnxModel:
    """Load a descriptor model.

    Parameters
    ----------
    path_or_name : str or Path, optional
        An ONNX file whose card lies beside it (``name.onnx`` and ``name.json``), a folder with ``model.onnx`` and
        ``model.json``, or, where no such file or folder exists, the name of a model that comes with Ectype or was
        added to the store. Without it, the bundled model.
    runtime : {"auto", "openvino", "onnxruntime"}
    store : ModelStore, optional
        The user's own by default.

    Raises
    ------
    ModelError
        There is no such file and no model of this name; a file is missing or damaged, or file and card do not fit.
    """
    model = bundled_model() if path_or_name is None else find_model(path_or_name, store)
    return OnnxModel(model.file, model.card, runtime)


def find_model(path_or_name: str | Path, store: ModelStore | None = None) -> InstalledModel:
    """A model by its file, its folder, or its name; a path that exists is taken for a path.

    Raises
    ------
    ModelError
        There is no such file and no model of this name, or its card is missing or damaged.
    StorageError
        The store can't be read.
    """
    path = Path(path_or_name)
    try:
        if path.exists():
            return installed_model(path / MODEL_FILE if path.is_dir() else path)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: the model can't be read: {error}") from error
    name = str(path_or_name)
    bundled = bundled_model()
    if name == bundled.name:
        return bundled
    store = store or ModelStore()
    stored = store.names()
    if name in stored:
        return store.find(name)
    raise ModelError(
        f"{name}: there is no such model file, and no model of this name; there are "
        f"{', '.join([bundled.name, *stored])} (`ectype models list`)"
    )


def list_models(store: ModelStore | None = None) -> list[InstalledModel]:
    """The bundled model and those that the user has added, in alphabetical order.

    Parameters
    ----------
    store : ModelStore, optional
        The user's own by default.

    Raises
    ------
    ModelError
        A stored model is damaged; the message tells which, and how to take it away.
    StorageError
        The store can't be read.
    """
    store = store or ModelStore()
    return [bundled_model(), *(store.find(name) for name in store.names())]
