"""The recipes of cards, run on small stand-ins for the archives that they unpack."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

from ood_lightning.data.cards.cards import find, read_card


def bash(script: str, folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # `python` is the one that runs this
    command, environment = ["bash", "-euo", "pipefail", "-c", script], {**os.environ, "PATH": path}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_choice_of_imagenet_c_is_the_stated_one(tmp_path: Path):
    protocol = read_card("imagenet-c").protocol()
    pictures = [
        f"{corruption}/{severity}/{synset}/{i}.JPEG"
        for corruption in ("fog", "snow", "jpeg_compression", "saturate")
        for severity in (1, 5)
        for synset in ("n01440764", "n01443537")
        for i in range(4)
    ]
    for name in pictures:
        path = tmp_path / "raw" / "imagenet-c" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    script = protocol.get[protocol.get.index("python -") :].replace("10000", "7")
    bash(script, tmp_path)

    listed = [line.split() for line in (tmp_path / "raw" / "imagenet-c.txt").read_text().splitlines()]
    among = [name for name in pictures if not name.startswith("saturate")]
    expected = sorted(among, key=lambda name: hashlib.sha256(f"0/{name}".encode()).hexdigest())[:7]
    assert [name for name, _ in listed] == sorted(expected)
    assert all(label == ("0" if "n01440764" in name else "1") for name, label in listed)


def test_the_classes_that_textures43_leaves_out_are_those_of_its_recipe(tmp_path: Path):
    card = read_card("textures43")
    (tmp_path / "raw").mkdir()
    bash(card.protocol().blocks[-1], tmp_path)
    written = (tmp_path / "raw" / "textures43_excluded.txt").read_text().split()
    assert written == [f"{name}/" for name in card.excludes]


def test_test_pictures_of_cub_and_waterbirds_are_picked_by_the_archives_own_splits(tmp_path: Path):
    cub = tmp_path / "raw" / "CUB_200_2011"
    cub.mkdir(parents=True)
    (cub / "images.txt").write_text("1 001.Black_footed_Albatross/a.jpg\n2 002.Laysan_Albatross/b.jpg\n")
    (cub / "train_test_split.txt").write_text("1 1\n2 0\n")
    (cub / "image_class_labels.txt").write_text("1 1\n2 2\n")
    (cub / "classes.txt").write_text("1 001.Black_footed_Albatross\n2 002.Laysan_Albatross\n")

    shared, of_test = find("cub@test")[1].blocks
    bash(shared[shared.index("cut -d") :] + "\n" + of_test, tmp_path)
    assert (tmp_path / "raw" / "cub_test.txt").read_text() == "002.Laysan_Albatross/b.jpg 1\n"
    assert (tmp_path / "raw" / "cub_names.txt").read_text().splitlines()[0] == (
        "001.Black_footed_Albatross\tBlack footed Albatross"
    )

    birds = tmp_path / "raw" / "waterbird_complete95_forest2water2"
    birds.mkdir()
    rows = "img_id,img_filename,y,split,place,place_filename\n1,a/1.jpg,0,0,0,x\n2,b/2.jpg,1,2,0,x\n"
    (birds / "metadata.csv").write_text(rows)
    bash(find("waterbirds")[1].blocks[-1], tmp_path)
    assert (tmp_path / "raw" / "waterbirds_test.txt").read_text() == "b/2.jpg 1\n"


def test_ninco_is_whole_or_short_of_its_gif(tmp_path: Path):
    folder = tmp_path / "raw" / "NINCO" / "NINCO_OOD_classes" / "a"
    folder.mkdir(parents=True)
    Image.new("P", (4, 4)).save(folder / "moving.gif")
    Image.new("RGB", (4, 4)).save(folder / "still.jpg")
    archived = (folder / "moving.gif").read_bytes()

    bash(find("ninco")[1].blocks[-1], tmp_path)
    assert {path.name for path in folder.iterdir()} == {"moving.png", "still.jpg"}

    (folder / "moving.gif").write_bytes(archived)  # the archive was unpacked once more
    bash(find("ninco@imagefolder")[1].blocks[-1], tmp_path)
    assert {path.name for path in folder.iterdir()} == {"moving.gif", "still.jpg"}
