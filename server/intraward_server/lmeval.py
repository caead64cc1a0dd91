"""Tasks of EleutherAI's lm_eval on the run's policies (extra ``lm-eval``; Gao et al., zenodo 10256836).

The harness gets the verified model that everything else here is measured with, LoRA already in it, so no
adapter is read from disk a second time and nothing is merged. Tasks bring their data from where lm_eval gets
it, as a rule the Hub; a machine without a way there needs tasks of its own (``--lm-eval-folder``). A task
file may hold Python that lm_eval runs: use only those that you would install.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from intraward_server.statistics import Z95
from intraward_server.suites.bench import Subject
from intraward_shared.errors import ConfigError
from intraward_shared.modeling import BaseModel, adapted
from intraward_shared.protocol import LoraSpec

_BATCH = 8
_SEED = 1234
_DRAWS = 1000


def run_tasks(
    base: BaseModel,
    lora: LoraSpec,
    subjects: Sequence[Subject],
    tasks: Sequence[str],
    folder: Path | None = None,
    limit: int | None = None,
) -> dict[str, dict[str, Any]]:
    """Figures by task and policy: every metric that is a number, with an interval where lm_eval has an error.

    Args:
        folder: with YAML files of further tasks. limit: most rows of a task.

    Raises:
        ConfigError: lm_eval is not installed, or does not know a task.
    """
    try:
        import lm_eval
        from lm_eval.models.huggingface import HFLM
        from lm_eval.tasks import TaskManager
    except ImportError:
        raise ConfigError(
            "evaluate",
            "--lm-eval",
            "lm_eval is not installed",
            remedy="install the extra: pip install 'intraward[lm-eval]'",
        ) from None
    if folder is not None and not folder.is_dir():
        raise ConfigError(folder, "--lm-eval-folder", "is no folder", remedy="name the folder of your tasks")
    manager: Any = TaskManager(include_path=None if folder is None else str(folder))
    unknown = [name for name in tasks if name not in manager.all_tasks]
    if unknown or not tasks:
        name = unknown[0] if unknown else ""
        raise ConfigError("evaluate", "--lm-eval", f"no task {name!r}", remedy="see: lm-eval ls tasks")
    out: dict[str, dict[str, Any]] = {}
    for subject in subjects:
        with _loaded(base, lora, subject) as network:
            model: Any = HFLM(pretrained=network, tokenizer=base.tokenizer, batch_size=_BATCH)
            found = lm_eval.simple_evaluate(
                model=model,
                tasks=list(tasks),
                task_manager=manager,
                limit=limit,
                log_samples=False,
                bootstrap_iters=_DRAWS,
                random_seed=_SEED,
                numpy_random_seed=_SEED,
                torch_random_seed=_SEED,
                fewshot_random_seed=_SEED,
            )
        for task, metrics in found["results"].items():
            rows = found.get("n-samples", {}).get(task, {}).get("effective")
            out.setdefault(task, {})[subject.name] = {**_figures(metrics), "rows": rows}
    return out


@contextmanager
def _loaded(base: BaseModel, lora: LoraSpec, subject: Subject) -> Iterator[Any]:
    with adapted(base, lora, ("policy",)) as model:
        model.load("policy", subject.state)
        model.use("policy")
        yield model.peft.get_base_model()


def _figures(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """``acc,none`` and ``acc_stderr,none`` as ``acc`` and ``acc_interval``; other filters by name."""
    out: dict[str, Any] = {}
    for key, value in metrics.items():
        name, _, used = key.partition(",")
        if name.endswith("_stderr") or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        label = name if used in ("", "none") else f"{name}_{used}"
        out[label] = float(value)
        error = metrics.get(f"{name}_stderr,{used}")
        if isinstance(error, int | float) and math.isfinite(error):
            out[f"{label}_interval"] = [float(value) - Z95 * error, float(value) + Z95 * error]
    return out
