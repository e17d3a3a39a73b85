"""Plans: every image once, in one order, under a name of its own."""

import json
from pathlib import Path

import pytest
from densezip import FormatError, InputError, UsageError
from samples import file_of, picture

pytest.importorskip("fsspec")
from densezip.shards.plan import Item, images_of_folder, images_of_manifest, make_plan, open_plan


def tree(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(file_of(picture("L", 3, 4), "PNG"))
    return folder


def test_a_folder_is_listed_in_order_by_suffix(tmp_path: Path) -> None:
    tree(tmp_path, "b.PNG", "a/z.png", "a/y.jpg", "a/notes.txt", ".hidden/x.png", "a/.x.png")
    found = images_of_folder(str(tmp_path), ("png", ".jpg"))
    assert [item.target for item in found] == ["a/y.jpg.dz", "a/z.png.dz", "b.PNG.dz"]
    assert found[2].source == str(tmp_path / "b.PNG")


def test_shards_hold_every_image_once_and_in_order(tmp_path: Path) -> None:
    items = [Item(f"in/{number:03d}.png", f"{number:03d}.png.dz") for number in range(25)]
    plan = make_plan(items[::-1], str(tmp_path / "plan"), str(tmp_path / "out"), shard_size=10, effort=3)
    again = open_plan(str(tmp_path / "plan"))
    assert again == plan
    assert (again.images, again.shards, again.effort) == (25, 3, 3)
    assert [item for shard in range(3) for item in again.items(shard)] == items


def test_the_same_images_make_the_same_plan(tmp_path: Path) -> None:
    items = [Item(f"{number}.png", f"{number}.png.dz") for number in range(200)]
    for name in ("one", "two"):
        make_plan(items, str(tmp_path / name), "out")
    for file in sorted((tmp_path / "one").rglob("*")):
        if file.is_file():
            assert file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes()
    assert open_plan(str(tmp_path / "one")).shards == 67


def test_a_manifest_of_json_lines_gives_paths_names_sizes_and_digests(tmp_path: Path) -> None:
    manifest = tmp_path / "m.jsonl"
    rows = [{"path": "/data/x/a.png", "size": 7}, {"url": "/data/y/b.png", "digest": "00"}, {"path": "/c", "name": "c"}]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows) + "\n")
    assert images_of_manifest(str(manifest)) == [
        Item("/data/x/a.png", "data/x/a.png.dz", 7),
        Item("/data/y/b.png", "data/y/b.png.dz", None, "00"),
        Item("/c", "c.dz"),
    ]


def test_a_manifest_in_parquet_is_read(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"path": ["s3://b/x/1.png", "s3://b/x/2.png"], "size": [5, 6]}), tmp_path / "m")
    assert images_of_manifest(str(tmp_path / "m")) == [
        Item("s3://b/x/1.png", "1.png.dz", 5),
        Item("s3://b/x/2.png", "2.png.dz", 6),
    ]


@pytest.mark.parametrize(("text", "error"), [("[1]\n", "no path"), ('{"size": 1}\n', "line 1"), ("{", "JSON lines")])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, text: str, error: str) -> None:
    (tmp_path / "m.jsonl").write_text(text)
    with pytest.raises(FormatError, match=error):
        images_of_manifest(str(tmp_path / "m.jsonl"))


@pytest.mark.parametrize(
    ("items", "error"),
    [
        ([], "no images"),
        ([Item("x/a.png", "a.dz"), Item("y/a.png", "a.dz")], "both become a.dz"),
        ([Item("a", "../a.dz")], "outside the target"),
        ([Item("a", "/a.dz")], "outside the target"),
    ],
)
def test_plans_that_would_lose_something_are_refused(tmp_path: Path, items: list[Item], error: str) -> None:
    with pytest.raises(UsageError, match=error):
        make_plan(items, str(tmp_path / "plan"), "out")
    assert not (tmp_path / "plan").exists()


def test_no_plan_takes_the_place_of_another(tmp_path: Path) -> None:
    make_plan([Item("a", "a.dz")], str(tmp_path), "out")
    with pytest.raises(UsageError, match="already"):
        make_plan([Item("b", "b.dz")], str(tmp_path), "out")


def test_a_folder_without_a_plan_and_a_damaged_one_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no plan"):
        open_plan(str(tmp_path))
    make_plan([Item("a", "a.dz")], str(tmp_path), "out")
    (tmp_path / "shards" / "00000.jsonl").write_text("{}\n")
    with pytest.raises(FormatError, match="damaged"):
        open_plan(str(tmp_path)).items(0)
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(FormatError, match="damaged"):
        open_plan(str(tmp_path))
    with pytest.raises(InputError, match="no folder"):
        images_of_folder(str(tmp_path / "nowhere"), ("png",))
