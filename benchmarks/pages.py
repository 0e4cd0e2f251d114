"""Writes tables into pages between markers, so that no figure is typed by hand.

A page has ``<!-- KIND:NAME -->`` and ``<!-- /KIND:NAME -->``, and what is between them is replaced by the block of
that name.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from pathlib import Path

__all__ = ["put_between"]


def put_between(page: Path, kind: str, written: Mapping[str, str], *, known: Container[str]) -> list[str]:
    """Replace the text between the markers of a kind, and return the names of the replaced blocks.

    :param written: the blocks to replace; the others are not changed.
    :param known: the names of all blocks.
    :raises ValueError: a marker is without a block, or is not closed.
    """
    text = page.read_text(encoding="utf-8")
    done: list[str] = []
    for name in re.findall(rf"<!-- {kind}:([\w-]+) -->", text):
        if name not in known:
            raise ValueError(f"{page.name} has a marker for {name!r}, which is not a known block")
        between = re.compile(rf"(<!-- {kind}:{name} -->\n).*?(<!-- /{kind}:{name} -->)", re.DOTALL)
        if not between.search(text):
            raise ValueError(f"the marker for {name!r} in {page.name} is not closed")
        if name in written:
            text = between.sub(lambda found, name=name: f"{found[1]}\n{written[name]}\n\n{found[2]}", text)
            done.append(name)
    page.write_text(text, encoding="utf-8")
    return done
