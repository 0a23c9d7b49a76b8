"""Train a student to see through edits.

With a teacher, the student looks at an edited photograph and must say what the teacher says of the unedited one: it is
pulled to that target, and must tell it from the targets of all other photographs. Targets may follow what the student
says of their photographs, and are then a memory of it (Wu et al., CVPR 2018) that the teacher began. Without a teacher,
two edits of a photograph must be alike and unlike those of others. A student that imitates an earlier model must say of
each picture, edited or not, what that says of it.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ectype.descriptors.runtimes import computes_in_bfloat16
from ectype.errors import InvalidDataError, ModelError, UsageError
from ectype.images import ImageItem
from ectype_training.config import FRESH_STARTS, Config
from ectype_training.dataset import Batch, EditedPhotographs, load
from ectype_training.losses import contrast, distillation, koleo
from ectype_training.photographs import squares
from ectype_training.places import PlacesLoss, describe_places
from ectype_training.run import PLACES, Progress, Run, of_this_version
from ectype_training.student import Student, freeze
from ectype_training.targets import Targets, read_targets, turned

LOG_EVERY = 50
SAVE_SECONDS = 300
LARGEST_GRADIENT = 5.0
_LOOK = 2048  # photographs by which targets are turned to a model that training starts from
_SLOW_BFLOAT16 = (
    "bfloat16 is on, and this processor is not known to multiply in it: steps may take ten times as long as without"
)


def train(config: Config, items: Sequence[ImageItem], targets: Path | None, folder: Path) -> Student:
    """Train, or resume where the folder's last checkpoint was.

    Parameters
    ----------
    config : Config
    items : sequence of ImageItem
        The photographs.
    targets : Path or None
        A teacher's descriptors of them, for the objective ``distillation``; photographs that it could not read are
        left out.
    folder : Path
        The run's: ``run.json``, ``checkpoint.pt``, ``log.csv``, ``curves.png``.

    Returns
    -------
    Student

    Raises
    ------
    UsageError
        Targets are missing, or not wanted, or the folder has a run of another configuration.
    InvalidDataError
        A file that was named can't be used, or another version of Ectype began the run.
    StorageError
        The disk refused; the last checkpoint is as it was.
    """
    if (targets is None) == (config.objective == "distillation"):
        raise UsageError("targets belong to the objective 'distillation', and to it alone")
    taught = None if targets is None else read_targets(targets, items, config.dimension)
    if taught is not None:
        items = taught.items
    run = Run(folder, {**config.to_dict(), "photographs": len(items), "data_sha256": _digest(config, items, targets)})
    training = _Training(config, items, taught, folder)
    if config.bfloat16 and not torch.cuda.is_available() and not computes_in_bfloat16():
        print(_SLOW_BFLOAT16, flush=True)
    with of_this_version(folder):
        seconds = training.resume(run.load())
    log = [row for row in run.log() if row.step <= training.step]
    begun = time.monotonic() - seconds
    saved = time.monotonic()
    losses: list[tuple[float, float, float]] = []
    share = _share(config, training.step, seconds)
    batches = _batches(config, items, training.step) if share < 1 else iter(())
    for batch in batches:
        rate = _rate(config, training.step, share)
        losses.append(training.update(batch, rate))
        seconds = time.monotonic() - begun
        share = _share(config, training.step, seconds)
        if training.step % LOG_EVERY == 0:
            means = np.mean(losses, axis=0).round(4).tolist()
            log.append(Progress(training.step, training.step * config.batch, round(seconds, 1), rate, *means))
            print(f"{share:6.1%}  {log[-1]}", flush=True)
            losses.clear()
        if share >= 1 or time.monotonic() - saved > SAVE_SECONDS:
            saved = time.monotonic()
            run.save(training.state(seconds))
            run.write_log(log)
        if share >= 1:
            break
    return training.result().cpu().eval()


class _Training:
    """Weights on their way: what one update does, and what must be kept to go on after a kill."""

    def __init__(self, config: Config, items: Sequence[ImageItem], targets: Targets | None, folder: Path) -> None:
        torch.manual_seed(config.seed)
        self._config = config
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.step = 0
        self.student = begin(config, items)
        self._imitated = _imitated(config)
        if self._imitated is not None:
            self._imitated.to(self._device, memory_format=torch.channels_last)
        self._goal: Tensor | None = None
        if targets is not None:
            rows = targets.rows
            if config.start not in FRESH_STARTS:
                rows = _turned_to(self.student, config, items, rows)
            self._goal = torch.from_numpy(rows).to(self._device)
        self._places: PlacesLoss | None = None
        if config.places_weight:
            seeing = self.student.to(self._device).eval()
            places = describe_places(seeing, items, config.size, config.bfloat16, folder / PLACES)
            self._places = PlacesLoss(places).to(self._device)
        freeze(self.student.backbone, config.frozen_blocks)
        self.student.to(self._device, memory_format=torch.channels_last).train()
        if config.frozen_norms:
            for module in self.student.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        self._learning = [p for p in self.student.parameters() if p.requires_grad]
        if self._places is not None:
            self._learning += self._places.parameters()
        groups = [
            {"params": [p for p in self._learning if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in self._learning if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self._optimiser = torch.optim.AdamW(groups, lr=config.rate, betas=(0.9, 0.98))
        self._mean: AveragedModel | None = None
        if config.averaging:
            decay = get_ema_multi_avg_fn(1 - 1 / config.averaging)
            self._mean = AveragedModel(self.student, multi_avg_fn=decay, use_buffers=True)

    def resume(self, state: Mapping[str, Any] | None) -> float:
        """Go on from a checkpoint; returns the seconds spent before it."""
        if state is None:
            return 0.0
        self.student.load_state_dict(state["student"])
        self._optimiser.load_state_dict(state["optimiser"])
        if self._places is not None:
            self._places.load_state_dict(state["places"])
        if self._mean is not None:
            self._mean.module.load_state_dict(state["student"])
            self._mean.n_averaged.fill_(state["step"])
            self.student.load_state_dict(state["last"])
        if self._goal is not None and self._config.follow:
            self._goal.copy_(state["targets"])
        self.step = int(state["step"])
        return float(state["seconds"])

    def result(self) -> Student:
        """What the run gives so far: the moving mean, where the configuration wants one."""
        if self._mean is None:
            return self.student
        mean: Student = self._mean.module
        return mean

    def state(self, seconds: float) -> dict[str, Any]:
        state = {"student": self.result().state_dict(), "optimiser": self._optimiser.state_dict()}
        if self._mean is not None:
            state["last"] = self.student.state_dict()
        if self._places is not None:
            state["places"] = self._places.state_dict()
        if self._goal is not None and self._config.follow:  # else they are as they were read
            state["targets"] = self._goal
        return {**state, "step": self.step, "seconds": seconds}

    def update(self, batch: Batch, rate: float) -> tuple[float, float, float]:
        """Learn from one batch; returns the losses that are logged."""
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        views, numbers, present, unedited, sources = (part.to(self._device) for part in batch)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._config.bfloat16):
            maps = self.student.maps(views.flatten(0, 1))
            descriptors = self.student.describe(maps, self._shown(numbers, present))
            imitated = None if self._imitated is None else self._imitated(views.flatten(0, 1)).float()
        descriptors = descriptors.float()
        if imitated is not None:
            main, second = descriptors.new_zeros(()), (1 - (descriptors * imitated).sum(1)).mean()
            whole = second
        else:
            main, second, whole = self._losses(descriptors, numbers, present, unedited)
        places = main.new_zeros(())
        if self._places is not None:
            places = self._places(maps[0], numbers, sources.flatten(0, 1))
            whole = whole + self._config.places_weight * places
        self._optimiser.zero_grad(set_to_none=True)
        whole.backward()
        nn.utils.clip_grad_norm_(self._learning, LARGEST_GRADIENT)
        self._optimiser.step()
        if self._mean is not None:
            self._mean.update_parameters(self.student)
        self.step += 1
        if self._goal is not None and self._config.follow and self.step % self._config.looks == 0:
            moved = torch.lerp(self._goal[numbers], descriptors.detach(), self._config.follow)
            self._goal[numbers] = nn.functional.normalize(moved)
        return main.item(), second.item(), places.item()

    def _shown(self, numbers: Tensor, present: Tensor) -> Tensor | None:
        """What the targets say of all photographs that are in each picture."""
        if self._goal is None or self.student.background is None:
            return None
        own = numbers[:, None]
        return self._goal[torch.cat([own, torch.where(present < 0, own, present)], 1)]

    def _losses(
        self, descriptors: Tensor, numbers: Tensor, present: Tensor, unedited: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The two that are logged, and the weighted sum of all."""
        config = self._config
        if self._goal is not None:
            found = distillation(descriptors, self._goal, numbers, present, config.temperature)
            drift = (1 - (descriptors * self._goal[numbers]).sum(1))[unedited].sum() / len(descriptors)
            whole = config.anchor_weight * drift + found.contrast + config.cosine_weight * found.distance
            whole = whole + config.separation_weight * found.separation + config.koleo_weight * found.spread
            return found.contrast, found.distance, whole
        first, second = descriptors[0::2], descriptors[1::2]
        main, spread = contrast(first, second, numbers, config.temperature), koleo(first)
        return main, spread, main + config.koleo_weight * spread


def _digest(config: Config, items: Sequence[ImageItem], targets: Path | None) -> str:
    """Of what a run is made from beside its configuration: photographs' names, targets, the models that it names."""
    digest = hashlib.sha256("\n".join(item.id for item in items).encode())
    start = Path(config.start) if config.start not in FRESH_STARTS else None
    model = Path(config.model) if config.model else None
    for path in (targets, start, model):
        if path is not None:
            try:
                digest.update(path.read_bytes())
            except OSError as error:
                raise InvalidDataError(f"{path}: can't be read: {error.strerror}") from error
    return digest.hexdigest()


def begin(config: Config, items: Sequence[ImageItem]) -> Student:
    """The student before the first step."""
    if config.start in FRESH_STARTS:
        student = Student(config.dimension, config.scales).to(memory_format=torch.channels_last)
        if config.start == "imagenet":
            student.backbone.load_imagenet()
    else:
        student = _of_earlier(config).to(memory_format=torch.channels_last)
        looked = (batch.views.flatten(0, 1) for batch in _batches(config, items, 0, workers=0))
        student.renormalise(images for images, _ in zip(looked, range(12), strict=False))
    return student


def _of_earlier(config: Config) -> Student:
    student = Student.from_onnx(Path(config.start))
    dimension = student.project.out_features
    if dimension != config.dimension or student.scales not in (1, config.scales):
        raise ModelError(
            f"{config.start}: has {dimension} dimensions and {student.scales} scales, "
            f"where the run has {config.dimension} and {config.scales}"
        )
    if config.scales > student.scales:
        student.look_at_more(config.scales)
    return student


def _imitated(config: Config) -> Student | None:
    """What a run imitates, if it does; it learns nothing."""
    if not config.model:
        return None
    model = Student.from_onnx(Path(config.model)).eval().requires_grad_(False)
    if model.project.out_features != config.dimension:
        raise ModelError(
            f"{config.model}: has {model.project.out_features} dimensions, where the run has {config.dimension}"
        )
    return model


def _turned_to(
    student: Student, config: Config, items: Sequence[ImageItem], targets: NDArray[np.float32]
) -> NDArray[np.float32]:
    rows = np.random.default_rng(config.seed).choice(len(items), min(_LOOK, len(items)), replace=False)
    said = []
    student.eval()
    with torch.inference_mode():
        for images in squares([items[number] for number in rows], config.size):
            said.append(student(torch.from_numpy(images)).numpy())
    towards = np.concatenate(said)
    aligned = turned(targets, towards, rows)
    print(f"cosine of the start to the turned targets: {(aligned[rows] * towards).sum(1).mean():.3f}", flush=True)
    return aligned


def _batches(config: Config, items: Sequence[ImageItem], step: int, workers: int | None = None) -> Iterator[Batch]:
    workers = config.workers if workers is None else workers
    first, look = divmod(step, config.looks)
    for number, batch in enumerate(load(EditedPhotographs(items, config, start=first), workers), first):
        for again in range(look, config.looks):
            yield _turned(batch, np.random.default_rng((config.seed, number, again))) if again else batch
        look = 0


def _turned(batch: Batch, rng: np.random.Generator) -> Batch:
    """The same pictures mirrored, and at times turned by quarters."""
    quarters = int(rng.choice((0, 0, 0, 1, 2, 3)))
    views, sources = (torch.rot90(part.flip(3), quarters, (2, 3)) for part in (batch.views, batch.sources))
    return batch._replace(views=views, sources=sources, unedited=torch.zeros_like(batch.unedited))


def _rate(config: Config, step: int, share: float) -> float:
    return config.rate * min(1, (step + 1) / config.warm_up) * (0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2)


def _share(config: Config, step: int, seconds: float) -> float:
    """How much of the run is over, by steps or by the clock."""
    by_clock = 0.0 if config.minutes is None else seconds / (60 * config.minutes)
    return min(1.0, max(step / config.steps, by_clock))
