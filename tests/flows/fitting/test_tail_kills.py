"""A fine-tuning that is killed ends, by the same command, with the weights of one that was not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from support.forked import Forked

from headstart.flows.fitting.unfinished import UNFINISHED_TAIL
from headstart.heads.saving import load_model

# What the process does before the command: at its moment it dies, as by SIGKILL from elsewhere.
MOMENTS = {
    "in the first epoch": """
from headstart.heads.finetuning import training
step, taken = training.take_step, []
def dying(*given, **named):
    taken.append(step(*given, **named))
    if len(taken) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return taken[-1]
training.take_step = dying
""",
    "between a checkpoint and the next epoch": """
from headstart.flows.fitting.finetuning.kept import KeptTraining
save, saved = KeptTraining.save, []
def dying(self, arrays):
    save(self, arrays)
    saved.append(1)
    if len(saved) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
KeptTraining.save = dying
""",
    "while the model is written": """
from headstart.heads.saving import model_file
def dying(target, files):
    target.mkdir(parents=True)
    name, content = next(iter(files.items()))
    (target / name).write_bytes(content[:100])
    os.kill(os.getpid(), signal.SIGKILL)
model_file._replace_folder = dying
""",
}
COMMAND = """
from headstart.flows.fitting.finetuning import finetune
finetune({cache!r}, "features.8", epochs=3, batch_size=8, min_steps=1, out={out!r}, folds=2)
"""


def run(folder: Path, cache: Path, out: str, moment: str = "") -> int:
    code = "import os, signal\n" + MOMENTS.get(moment, "") + COMMAND.format(cache=str(cache), out=out)
    env = {"OMP_NUM_THREADS": "1"}
    return Forked("-c", code, env=env, out=folder / f"{out}.txt", cwd=folder).wait(timeout=120)


def weights(folder: Path, out: str) -> list[Any]:
    return list(load_model(folder / out / "model")[0].weights_)


def test_killed_at_three_moments_the_same_command_ends_with_the_weights_of_an_undisturbed_one(
    embed: Callable[..., Any], elsewhere: Path
) -> None:
    cache = Path(embed(tap=["penultimate", "features.7:map"]).cache)
    assert run(elsewhere, cache, "whole") == 0, (elsewhere / "whole.txt").read_text()
    for moment in MOMENTS:
        assert run(elsewhere, cache, "cut", moment) == -9, (elsewhere / "cut.txt").read_text()
        assert not (elsewhere / "cut" / "model").exists()
    assert (elsewhere / "cut" / UNFINISHED_TAIL).exists()
    assert run(elsewhere, cache, "cut") == 0
    for one, two in zip(weights(elsewhere, "whole"), weights(elsewhere, "cut"), strict=True):
        assert np.array_equal(one, two)
    left = sorted(path.name for path in (elsewhere / "cut").iterdir())
    assert UNFINISHED_TAIL not in left
    assert not [name for name in left if name.endswith(".part")]
