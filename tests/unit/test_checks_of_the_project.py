"""What CONTRIBUTING.md, ``make lint`` and ``.pre-commit-config.yaml`` say of the same checks agrees."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_pre_commit_runs_what_make_lint_runs():
    checks = re.findall(r"\$\(call check,(.+?),\$\(BIN\)/(.+)\)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = [(hook["name"], hook["entry"].removeprefix(".venv/bin/")) for hook in repository["hooks"]]
    assert len(checks) >= 4
    assert hooks == checks


def test_contributing_draws_the_layers_of_the_contract_in_their_order():
    contract = (ROOT / "pyproject.toml").read_text().partition("\nlayers = [")[2].partition("]\n")[0]
    layers = [line.split(" | ") for line in re.findall(r'^ *"(.+?)"', contract, re.MULTILINE)]
    drawn = (ROOT / "CONTRIBUTING.md").read_text().partition("## Layers")[2].split("```")[1].strip().splitlines()
    names = [re.split(r"  +", line)[0].removesuffix(" | ...").split(" | ") for line in drawn]
    places = {name: number for number, layer in enumerate(layers) for name in layer}
    order = [sorted({places[name] for name in line}) for line in names]
    assert order == sorted(order)
    public = {name for name in places if not name.startswith("_")}
    assert public - {name for line in names for name in line} <= {"retry_policy", "results", "get_provider_info"}
