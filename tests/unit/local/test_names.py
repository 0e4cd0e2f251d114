"""Names that lead somewhere else."""

from __future__ import annotations

import pytest

from airflow_json2video.local.names import inside, safe_folder, safe_name


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("a.png", "a.png"),
        (" clip 2.mp4 ", "clip_2.mp4"),
        ("über.png", "_ber.png"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("a\\b", "a_b"),
        ("a\x00b", "a_b"),
        ("C:a", "C_a"),
        ("\ud800.png", "_.png"),
        ("a\nb", "a_b"),
    ],
)
def test_a_name_on_the_drive_holds_nothing_that_leads_elsewhere(name, kept):
    assert safe_name(name) == kept


@pytest.mark.parametrize("name", ["", " ", ".", "..", "...", "x" * 256, 7, None])
def test_what_names_no_file_is_refused(name):
    with pytest.raises(ValueError, match="name"):
        safe_name(name)


@pytest.mark.parametrize(
    ("folder", "kept"),
    [
        ("/", ""),
        ("", ""),
        ("/a//b/", "a/b"),
        ("a/b", "a/b"),
        ("../a", "__/a"),
        ("a/./b.c", "a/_/b_c"),
        ("a\\..\\b", "a____b"),
    ],
)
def test_a_folder_is_written_in_one_way_and_does_not_climb(folder, kept):
    assert safe_folder(folder) == kept


@pytest.mark.parametrize("folder", ["a/" * 2000, "x" * 256, None])
def test_a_folder_that_cannot_be_stored_is_refused(folder):
    with pytest.raises(ValueError, match="folder"):
        safe_folder(folder)


def test_what_leads_out_of_a_folder_is_nothing(tmp_path):
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
