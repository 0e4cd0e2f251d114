"""Paths that lead somewhere else."""

from __future__ import annotations

from airflow_json2video.local.safe_paths import inside


def test_a_path_outside_of_the_folder_is_none(tmp_path):
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "secret").write_text("s")
    (tmp_path / "root2").mkdir()
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "up").symlink_to(tmp_path)
    (root / "near").symlink_to(root / "sub")
    wrong = (
        "../secret",
        "../root2",
        "sub/../../secret",
        "/etc/passwd",
        "link",
        "up/secret",
        "a\x00b",
        "\ud800",
        "a" * 300,
    )
    for relative in wrong:
        assert inside(root, relative) is None, relative
    (root / "ring").symlink_to(root / "ring")
    assert inside(root, "ring") in (None, root.resolve() / "ring")
    assert inside(root, "sub/a.png") == (root / "sub" / "a.png").resolve()
    assert inside(root, "near/a.png") == (root / "sub" / "a.png").resolve()
