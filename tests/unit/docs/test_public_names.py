"""The table of public names is what the modules declare, and nothing public is hidden."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from airflow_json2video.get_provider_info import get_provider_info

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "airflow_json2video"
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
TABLE = {
    module: names.replace("`", "").split(", ")
    for module, names in re.findall(r"^\| \[[^|]+ \| `([\w.]+)` \| ([^|]+) \|$", REFERENCE, re.MULTILINE)
}

# Modules next to public ones that a user does not import.
INTERNAL = {
    *("operators.base", "triggers.base", "hooks.connection"),
    *(
        "airflow_variables",
        "commands",
        "deployment",
        "get_provider_info",
        "json_values",
        "metrics",
        "progress",
        "supervisor_calls",
    ),
    *("task_log", "templates", "version_compat"),
}
FOLDERS_OF_AIRFLOW = ("operators", "sensors", "transfers", "triggers", "decorators", "hooks")


def path_of(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def declared(path: Path) -> list[str] | None:
    """Return ``__all__`` of a module, without importing it: one of them needs Airflow 3.3."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "__all__" for target in node.targets):
            return list(ast.literal_eval(node.value))
    return None


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def is_private(module: str) -> bool:
    return any(part.startswith("_") for part in module.split("."))


def is_boundary(path: Path) -> bool:
    """Return whether users could expect public names in a module: at the root, or in a folder that Airflow knows."""
    parts = path.relative_to(PACKAGE).parts
    return path.name != "__init__.py" and (len(parts) == 1 or (len(parts) == 2 and parts[0] in FOLDERS_OF_AIRFLOW))


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if not is_private(module_name(path))]


@pytest.mark.parametrize("module", TABLE)
def test_the_table_lists_the_names_of_a_public_module(module):
    assert sorted(TABLE[module]) == sorted(declared(path_of(module)) or [])


@pytest.mark.parametrize("module", TABLE)
def test_a_public_module_is_not_below_a_private_one(module):
    assert not is_private(module)


def test_every_module_declares_its_names():
    assert [module_name(p) for p in MODULES if p.name != "__init__.py" and declared(p) is None] == []


def test_every_module_that_users_could_expect_is_listed_or_internal():
    assert {module_name(p) for p in MODULES if is_boundary(p)} - set(TABLE) == INTERNAL


def test_every_module_in_the_provider_metadata_is_public():
    info = get_provider_info()
    modules = [
        m
        for kind in ("hooks", "operators", "sensors", "triggers")
        for each in info[kind]
        for m in each["python-modules"]
    ]
    modules += [each["python-module"] for each in info["transfers"]]
    assert {m.removeprefix("airflow_json2video.") for m in modules} <= set(TABLE)


def test_the_reference_documents_public_names_only():
    documented = re.findall(r"\.\. auto(?:class|function):: airflow_json2video\.([\w.]+)\.(\w+)", REFERENCE)
    assert [f"{module}.{name}" for module, name in documented if name not in TABLE.get(module, ())] == []
