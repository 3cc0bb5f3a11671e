"""All stages of the pipeline, in forks of one process: by DVC each would load torch anew."""

from __future__ import annotations

from pathlib import Path

from forking import Run, story
from superres.config.check import check_params
from support import environment
from tools.code_dependencies import script_of, stages


def run_stages(folder: Path) -> str:
    """Run what dvc.yaml lists, in its order, in a folder that has params and photographs.

    As `dvc repro` would, it checks the params first, ends with a stage that fails, and asks each
    for all outs that it declares. Returns what the stages said.
    """
    check_params(folder / "params.yaml")
    listed = stages()
    runs = [Run(str(folder), stage=script_of(stage).name) for stage in listed.values()]
    ends = story(runs, environment())
    for (name, stage), end in zip(listed.items(), ends, strict=True):
        assert end.status == 0, f"{name}: {end.output}"
        for out in (*stage.get("outs", []), *stage.get("metrics", [])):
            path = next(iter(out)) if isinstance(out, dict) else out
            assert (folder / path).exists(), f"{name}: {path}"
    return "".join(end.output for end in ends)
