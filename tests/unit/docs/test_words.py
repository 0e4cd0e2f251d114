"""The words that a user reads are those of Airflow, HTTP and Python: old words of this project do not come back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
MODULES = sorted((ROOT / "airflow_json2video").rglob("*.py"))

OLD_WORDS = {
    "anew": r"anew",  # again; new
    "under way": r"under way",  # in progress, running
    "beside": r"besides?",  # next to; in addition to
    "is no": r"(?<!there )(?:is|are|was|were) no (?!longer|more)\w+",  # is not a
    "cannot be told": r"cannot be told",  # is unknown
    "a person": r"a person",  # you
    "broken off": r"broken off",  # interrupted
    "goes on": r"go(?:es)? on|went on",  # keeps running
    "kept": r"kept",  # stored
    "told": r"told",  # logged, reported
    "sweep": r"sweeps?|swept",  # poll the list
    "nobody": r"nobody|somebody",
    "what became of": r"what (?:became|becomes) of",  # how it ended
    "at once": r"at once",  # immediately
    "wire names": r"wire names",  # the API's names
    "stood in for": r"stood in for",  # replaced by
    "in vain": r"in vain",  # unnecessarily
    "waited out": r"waited out",  # treated as an outage
    "the service's words": r"the service's (?:own )?words",  # the service's message
    "when to look": r"when to look",  # when to poll
    "British spelling": r"\w*colour\w*|licen[c]es?|catalogues?|behaviou[r]\w*|honou[r]\w*|cancelled",
}
PATTERN = re.compile(rf"\b(?:{'|'.join(OLD_WORDS.values())})\b", re.IGNORECASE)
ANTIQUE_DOCSTRING = re.compile(r"(?:Give|Tell|Say)\b")

EXCEPTIONS: dict[tuple[str, str], str] = {
    ("airflow_json2video/local/planning/captions.py", "PrimaryColour"): "a header of the ASS format, in its spelling",
}
"""A page or module and a piece of the text, to the reason why it may stay."""


def old_words(where: str, text: str) -> list[str]:
    """Return each old word of a text with what stands around it."""
    found = []
    for match in PATTERN.finditer(text):
        excerpt = " ".join(text[max(0, match.start() - 40) : match.end() + 40].split())
        if not any(where == name and piece in text for name, piece in EXCEPTIONS):
            found.append(f"{match.group()!r}: {excerpt}")
    return found


def texts(tree: ast.Module) -> Iterator[tuple[int, str, bool]]:
    """Yield the texts of a module: its docstrings, and all other strings with a space, since a user may read them."""
    docstrings: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and node.body:
            first = node.body[0].value if isinstance(node.body[0], ast.Expr) else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                docstrings.add(id(first))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value, id(node) in docstrings


def test_no_page_has_old_words():
    found = []
    for page in PAGES:
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
            found += [f"{page.name}:{number}: {each}" for each in old_words(page.name, line)]
    assert found == []


def test_no_module_has_old_words_in_messages_and_docstrings():
    found = []
    for module in MODULES:
        name = module.relative_to(ROOT).as_posix()
        for number, text, is_docstring in texts(ast.parse(module.read_text(encoding="utf-8"))):
            found += [f"{name}:{number}: {each}" for each in old_words(name, text)]
            if is_docstring and ANTIQUE_DOCSTRING.match(text):
                found.append(f"{name}:{number}: {text.splitlines()[0]}")
    assert found == []


def test_every_exception_is_needed():
    for name, piece in EXCEPTIONS:
        page = next((page for page in PAGES if page.name == name), ROOT / name)
        assert any(piece in line and PATTERN.search(line) for line in page.read_text(encoding="utf-8").splitlines())
