"""The precision-recall curve as a picture."""

from __future__ import annotations

from pathlib import Path

from ectype.errors import UsageError
from ectype.evaluation.metrics import TARGET_PRECISION, Evaluation
from ectype.storage import replacing


def check_plot_suffix(path: str | Path) -> str:
    """The extension of a plot's file; raises `UsageError` for one that can't be drawn."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".png", ".svg", ".pdf"):
        raise UsageError(f"{path}: a plot is written as .png, .svg or .pdf")
    return suffix


def plot_precision_recall(evaluation: Evaluation, path: str | Path, title: str = "") -> None:
    """Draw the precision-recall curve with its operating point at precision 90.

    Parameters
    ----------
    evaluation : Evaluation
    path : str or Path
        The extension decides the format: ``.png``, ``.svg`` or ``.pdf``.
    title : str

    Raises
    ------
    UsageError
        Another extension.
    StorageError
        The disk refused.
    """
    suffix = check_plot_suffix(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(evaluation.recalls, evaluation.precisions, color="#1f5fa8", linewidth=1.8)
    axes.axhline(TARGET_PRECISION, color="0.6", linewidth=0.8, linestyle="--")
    if evaluation.recall_at_p90 is not None:
        axes.plot(evaluation.recall_at_p90, TARGET_PRECISION, "o", color="#c0392b")
        axes.annotate(
            f"R@P90 {evaluation.recall_at_p90:.3f}\nat score {evaluation.threshold_at_p90:.3f}",
            (evaluation.recall_at_p90, TARGET_PRECISION),
            textcoords="offset points",
            xytext=(-8, -12),
            ha="right",
            va="top",
        )
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axes.set_title(title or f"micro-average precision {evaluation.micro_average_precision:.4f}")
    axes.grid(alpha=0.3)
    with replacing(path) as temporary:
        figure.savefig(temporary, format=suffix[1:], dpi=150)
