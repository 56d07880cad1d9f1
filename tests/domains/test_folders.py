"""Trees of image folders, as benchmarks are unpacked, and lists of images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dakit.domains import DomainSet, from_folder, from_image_list, open_domain


def draw(path: Path, colour=(255, 0, 0), size=(6, 4), mode="RGB", **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)
    return path


def plant(root: Path, pattern: str, domains, classes=("bike", "mug"), per_class=3, suffix="png") -> Path:
    """A tree of ``domains`` × ``classes``; the red of a picture tells its domain, the green its class."""
    for d, domain in enumerate(domains):
        for c, label in enumerate(classes):
            for i in range(per_class):
                folder = pattern.format(domain=domain, label=label)
                draw(root / folder / f"frame_{i:04d}.{suffix}", (40 * (d + 1), 80 * (c + 1), 0))
    return root


def greens(domain) -> list[int]:
    return [round(v) for v in (domain.x[:, 1].mean(dim=(1, 2)) * 255).tolist()]


# -- what a picture becomes ---------------------------------------------------------------------------------


def test_pixels_are_scaled_channels_first_and_rows_follow_sorted_names(tmp_path):
    draw(tmp_path / "b" / "1.png", (255, 128, 0))
    draw(tmp_path / "a" / "10.png", (0, 0, 255))
    draw(tmp_path / "a" / "1.png", (0, 0, 0))
    d = from_folder(tmp_path, size=5)
    assert d.x.shape == (3, 3, 5, 5) and d.x.dtype == torch.float32 and d.x.is_contiguous()
    assert d.meta["path"].tolist() == ["a/1.png", "a/10.png", "b/1.png"]
    assert d.classes == ("a", "b") and d.y.tolist() == [0, 0, 1]
    assert torch.equal(d.x[2, :, 0, 0], torch.tensor([255.0, 128.0, 0.0]) / 255)


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 128, (128, 128, 128)),
        ("1", 1, (255, 255, 255)),
        ("RGBA", (0, 0, 0, 0), (255, 255, 255)),  # transparent black is white paper, not black
        ("RGBA", (255, 0, 0, 255), (255, 0, 0)),
        ("LA", (0, 0), (255, 255, 255)),
        ("I;16", 256 * 128, (128, 128, 128)),
        ("CMYK", (0, 0, 0, 0), (255, 255, 255)),
    ],
)
def test_every_colour_mode_becomes_rgb(tmp_path, mode, colour, expected):
    draw(tmp_path / "a" / ("1.tif" if mode in ("CMYK", "I;16") else "1.png"), colour, mode=mode)
    pixel = from_folder(tmp_path, size=2).x[0, :, 0, 0] * 255
    assert tuple(round(v) for v in pixel.tolist()) == expected


def test_palette_with_a_transparent_colour(tmp_path):
    (tmp_path / "a").mkdir()
    picture = Image.new("P", (4, 4), 0)
    picture.putpalette([10, 20, 30] * 256)
    picture.save(tmp_path / "a" / "1.gif", transparency=0)
    assert from_folder(tmp_path, size=2).x.min() == 1


def test_camera_orientation_is_applied(tmp_path):
    picture = Image.new("RGB", (8, 8), "black")
    picture.paste("white", (0, 0, 8, 4))  # white above black
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    (tmp_path / "a").mkdir()
    picture.save(tmp_path / "a" / "1.png", exif=exif)
    x = from_folder(tmp_path, size=8).x[0, 0]
    assert x[0].max() == 0 and x[-1].min() == 1


# -- the layouts of the benchmarks --------------------------------------------------------------------------

LAYOUTS = {
    "office31": ("{domain}/images/{label}", ("amazon", "dslr", "webcam")),
    "officehome": ("{domain}/{label}", ("Art", "Clipart", "Product", "Real World")),
    "pacs": ("{domain}/{label}", ("art_painting", "cartoon", "photo", "sketch")),
    "pacs_kfold": ("kfold/{domain}/{label}", ("art_painting", "cartoon", "photo", "sketch")),
    "pacs_images": ("images/{domain}/{label}", ("art_painting", "cartoon", "photo", "sketch")),
    "vlcs_domainbed": ("{domain}/{label}", ("Caltech101", "LabelMe", "SUN09", "VOC2007")),
    "vlcs_full": ("{domain}/full/{label}", ("CALTECH", "LABELME", "PASCAL", "SUN")),
    "domainnet": ("{domain}/{label}", ("clipart", "infograph", "painting", "quickdraw", "real", "sketch")),
    "visda": ("{domain}/{label}", ("train", "validation")),
    "smd": ("{domain}/{label}", ("mario_n64", "mario_nes", "mario_snes", "mario_wii")),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout(tmp_path, layout):
    pattern, domains = LAYOUTS[layout]
    root = plant(tmp_path / layout, pattern, domains)
    (root / "image_list").mkdir()
    (root / "image_list" / "a.txt").write_text("a/b.png 0\n")
    (root / "README.txt").write_text("not a picture")
    (root / ".DS_Store").write_text("")
    found = from_folder(root, size=4)
    assert isinstance(found, DomainSet) and found.name == layout
    assert found.names == tuple(sorted(domains)) and found.classes == ("bike", "mug")
    for d, name in enumerate(domains):
        assert found[name].counts() == {"bike": 3, "mug": 3}
        assert greens(found[name]) == [80] * 3 + [160] * 3
        assert found[name].x[:, 0].mean().item() * 255 == pytest.approx(40 * (d + 1), abs=0.5)


def test_one_domain_of_a_benchmark_opens_from_its_folder(tmp_path):
    plant(tmp_path, "{domain}/images/{label}", ("amazon", "dslr"))
    for spec in (tmp_path / "amazon", tmp_path / "amazon" / "images"):
        d = open_domain(spec, size=4)
        assert d.name == "amazon" and d.counts() == {"bike": 3, "mug": 3}


def test_splits_below_a_domain_are_merged_and_full_replaces_them(tmp_path):
    for split in ("train", "test"):
        plant(tmp_path / "parts", f"{{domain}}/{split}/{{label}}", ("mnist", "svhn"), classes="01")
        plant(tmp_path / "whole", f"{{domain}}/{split}/{{label}}", ("SUN", "PASCAL"), classes="01")
    plant(tmp_path / "whole", "{domain}/full/{label}", ("SUN", "PASCAL"), classes="01", per_class=5)
    parts = from_folder(tmp_path / "parts", size=2)["mnist"]
    assert parts.counts() == {"0": 6, "1": 6}
    assert {p.split("/")[1] for p in parts.meta["path"]} == {"train", "test"}
    whole = from_folder(tmp_path / "whole", size=2)["SUN"]
    assert whole.counts() == {"0": 5, "1": 5} and all("/full/" in p for p in whole.meta["path"])


def test_domains_are_chosen_by_name_whatever_the_spelling(tmp_path):
    plant(tmp_path, "{domain}/{label}", ("Art", "Clipart", "Real World"))
    assert from_folder(tmp_path, size=2, domains=["RealWorld", "art"]).names == ("Real World", "Art")
    with pytest.raises(ValueError, match=r"no domain 'Sketch'; it has 'Art', 'Clipart', 'Real World'"):
        from_folder(tmp_path, size=2, domains=["Sketch"])


def test_a_choice_of_domains_passes_over_folders_of_another_form(tmp_path):
    plant(tmp_path, "{domain}/{label}", ("train", "validation"))
    draw(tmp_path / "extras" / "poster.png")
    with pytest.raises(
        ValueError, match="extras is no class-per-folder tree, because it holds pictures but no class"
    ):
        from_folder(tmp_path, size=2)
    assert from_folder(tmp_path, size=2, domains=["train", "validation"]).names == ("train", "validation")


def test_pictures_without_class_folders_are_an_unlabelled_domain(tmp_path):
    for i in range(4):
        draw(tmp_path / f"{i}.jpg")
    d = from_folder(tmp_path, size=2)
    assert not d.labeled and len(d) == 4 and d.classes == ()


def test_stray_pictures_beside_class_folders_are_passed_over(tmp_path):
    plant(tmp_path, "{domain}/{label}", ("art", "photo"))
    draw(tmp_path / "preview.png")
    draw(tmp_path / "art" / "preview.png")
    assert [len(d) for d in from_folder(tmp_path, size=2).values()] == [6, 6]


# -- classes ------------------------------------------------------------------------------------------------


def test_classes_must_agree_or_be_chosen(tmp_path):
    plant(tmp_path, "{domain}/{label}", ("art",), classes=("bike", "mug", "pen"))
    plant(tmp_path, "{domain}/{label}", ("photo",), classes=("mug", "bike", "owl"))
    with pytest.raises(
        ValueError, match=r"differ in their classes: 'art' has no 'owl'; choose classes='shared'"
    ):
        from_folder(tmp_path, size=2)
    assert from_folder(tmp_path, size=2, classes="shared").classes == ("bike", "mug")
    partial = from_folder(tmp_path, size=2, classes=["pen", "mug"])
    assert partial.classes == ("pen", "mug") and partial["photo"].counts() == {"pen": 0, "mug": 3}
    assert greens(partial["art"]) == [240] * 3 + [160] * 3
    with pytest.raises(ValueError, match="has no class 'dodo'"):
        from_folder(tmp_path, size=2, classes=["dodo"])
    with pytest.raises(ValueError, match=r"'photo' .* has no pictures of the classes 'pen'"):
        from_folder(tmp_path, size=2, classes=["pen"])
    with pytest.raises(ValueError, match="'shared' or None"):
        from_folder(tmp_path, size=2, classes="bike")


def test_max_per_class_takes_evenly_spaced_pictures(tmp_path):
    plant(tmp_path, "{label}", ("only",), per_class=9)
    d = from_folder(tmp_path, size=2, max_per_class=3)
    assert d.counts() == {"bike": 3, "mug": 3}
    assert [p[-8:-4] for p in d.meta["path"][:3]] == ["0000", "0004", "0008"]
    with pytest.raises(ValueError, match="max_per_class must be at least 1"):
        from_folder(tmp_path, size=2, max_per_class=0)


# -- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"this is text", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_a_broken_picture_is_named(tmp_path, content):
    plant(tmp_path, "{label}", ("only",))
    (tmp_path / "bike" / "zz.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"bike/zz\.png is not a readable image") as caught:
        from_folder(tmp_path, size=2)
    assert str(caught.value).count("\n") == 0


def test_a_cut_off_picture_is_named(tmp_path):
    rng = np.random.default_rng(0)
    whole = tmp_path / "a" / "1.png"
    whole.parent.mkdir()
    Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(whole)
    whole.write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"a/1\.png is not a readable image"):
        from_folder(tmp_path, size=2)


def test_refusals(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        from_folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no images"):
        from_folder(tmp_path / "empty")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="is a file where a folder"):
        from_folder(tmp_path / "file")
    plant(tmp_path / "one", "{label}", ("only",))
    with pytest.raises(ValueError, match="is a single domain"):
        from_folder(tmp_path / "one", domains=["a"])
    for size in (0, -3, 2.5, True):
        with pytest.raises(ValueError, match="size must be a positive number of pixels"):
            from_folder(tmp_path / "one", size=size)


def test_too_much_for_memory_is_refused_before_anything_is_read(tmp_path):
    plant(tmp_path, "{label}", ("only",))
    (tmp_path / "bike" / "zz.png").write_bytes(b"would fail if it were opened")
    with pytest.raises(
        ValueError, match=r"7 examples of shape \(3, 100, 100\).*more than limit_gb=0.0005; choose"
    ):
        from_folder(tmp_path, size=100, limit_gb=0.0005)


def test_a_folder_of_several_domains_is_not_one(tmp_path):
    plant(tmp_path, "{domain}/{label}", ("art", "photo"))
    with pytest.raises(ValueError, match=r"holds 2 domains: choose one, .*art.*photo"):
        open_domain(tmp_path)


def test_names_are_text_only(tmp_path):
    plant(tmp_path, "{domain}/{label}", ("<img onerror=alert(1)>", "b"), classes=("<script>", "&amp"))
    found = from_folder(tmp_path, size=2)
    assert found.names[0] == "<img onerror=alert(1)>" and "<script>" in found.classes
    assert "<script>" not in found._repr_html_() and "<img onerror" not in found._repr_html_()


# -- lists --------------------------------------------------------------------------------------------------


def test_list_beside_the_pictures_names_classes_by_folder(tmp_path):
    plant(tmp_path, "{domain}/{label}", ("Real World",), classes=("bike", "mug", "pen"))
    lines = [f"Real World/{c}/frame_{i:04d}.png {k}" for k, c in ((2, "pen"), (0, "bike")) for i in range(3)]
    (tmp_path / "real_train.txt").write_text("\n".join(lines) + "\n\n")
    d = from_image_list(tmp_path / "real_train.txt", size=2)
    assert d.name == "real_train" and d.classes == ("bike", "pen") and d.y.tolist() == [1] * 3 + [0] * 3
    assert greens(d)[3:] == [80] * 3
    wide = from_image_list(tmp_path / "real_train.txt", size=2, classes=["mug", "bike", "pen"])
    assert wide.counts() == {"mug": 0, "bike": 3, "pen": 3}


def test_list_in_a_folder_of_lists_and_labels_from_one(tmp_path):
    plant(tmp_path, "{domain}/images/{label}", ("amazon",))
    (tmp_path / "image_list").mkdir()
    lines = [
        f"amazon/images/{c}/frame_{i:04d}.png {k}" for k, c in ((1, "bike"), (2, "mug")) for i in range(3)
    ]
    (tmp_path / "image_list" / "amazon.txt").write_text("\n".join(lines))
    d = open_domain(tmp_path / "image_list" / "amazon.txt", size=2)
    assert d.counts() == {"bike": 3, "mug": 3}
    assert len(from_image_list(tmp_path / "image_list" / "amazon.txt", size=2, max_per_class=1)) == 2


def test_list_of_one_flat_folder_keeps_the_labels(tmp_path):
    for i in range(3):
        draw(tmp_path / "all" / f"{i}.png")
    (tmp_path / "l.txt").write_text("0.png 7\n1.png 3\n2.png 7\n")
    d = from_image_list(tmp_path / "l.txt", tmp_path / "all", size=2)
    assert d.classes == ("3", "7") and d.y.tolist() == [1, 0, 1]
    (tmp_path / "named.txt").write_text("0.png cat\n1.png dog\n")
    assert from_image_list(tmp_path / "named.txt", tmp_path / "all", size=2).classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("only_a_path.png\n", "line 1: expected 'path label'"),
        ("\n \n", "lists no pictures"),
        ("", "is empty"),
        ("a.png 0\n", "which does not exist; give the folder"),
    ],
)
def test_bad_lists(tmp_path, content, sentence):
    (tmp_path / "l.txt").write_text(content)
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        from_image_list(tmp_path / "l.txt", size=2)


def test_a_list_that_is_no_text(tmp_path):
    (tmp_path / "l.txt").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ValueError, match="is no text file"):
        from_image_list(tmp_path / "l.txt")
