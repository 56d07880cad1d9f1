"""Build ``emoji.npz`` and ``openmoji.npz``: the same things drawn in several vendors' styles.

A Unicode code point fixes the thing, its Unicode subcategory the class, and each vendor draws it anew. Icons come
from the npm packages ``@iconify-json/<style>``, names and categories from ``emojibase-data``; ``resvg-py`` draws.

    python data/build/build_emoji.py --cache CACHE [--check]
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections import defaultdict
from pathlib import Path

import numpy as np
from packages import command_line, finish, npm, read_json
from PIL import Image

STYLES = {  # the domains of emoji.npz, then the share-alike one; package versions
    "noto": "1.2.9",
    "fluent-emoji": "1.2.7",
    "twemoji": "1.2.5",
    "emojione": "1.2.3",
    "fluent-emoji-flat": "1.2.6",
    "fluent-emoji-high-contrast": "1.2.6",
    "emojione-monotone": "1.2.1",
    "openmoji": "1.2.29",
}
SHARE_ALIKE = "openmoji"
EMOJIBASE = ("emojibase-data", "17.0.0")
DRAWN, STORED = 128, 32  # pixels
CAP = 72  # most concepts of one class

# Class -> Unicode subcategories, single things added by name, single things left out by name.
CLASSES = {
    "animal": (
        "animal-mammal animal-bird animal-amphibian animal-reptile animal-marine animal-bug",
        "",
        # Traces of animals; and emojione-monotone gives its cricket bat the name of the insect.
        "paw prints, pig nose, spiral shell, spider web, cricket",
    ),
    "face": (
        "face-smiling face-affection face-tongue face-hand face-neutral-skeptical face-sleepy face-unwell face-hat "
        "face-glasses face-concerned face-negative",
        "",
        "skull, skull and crossbones",
    ),
    "food": ("food-prepared food-asian food-sweet drink", "", ""),
    "hand": (
        "hand-fingers-open hand-fingers-partial hand-single-finger hand-fingers-closed hands hand-prop",
        "flexed biceps",
        "selfie",  # a whole person in some styles
    ),
    "person": (
        "person person-gesture person-role person-fantasy person-activity person-sport person-resting",
        "bust in silhouette, busts in silhouette",
        "",
    ),
    "place": (
        "place-building place-religious place-geographic place-other",
        "",
        "barber pole, hot springs, carousel horse",  # things, and a sign for maps
    ),
    "plant": (
        "plant-flower plant-other food-fruit food-vegetable",
        "Christmas tree, tanabata tree, pine decoration",
        "rosette",  # a ribbon
    ),
    "sky": (
        "sky-weather",
        "",
        # Four of the eight phases of the moon are enough; the others are things under the sky.
        "waxing crescent moon, waxing gibbous moon, waning gibbous moon, waning crescent moon, thermometer, "
        "closed umbrella, umbrella, umbrella on ground, umbrella with rain drops, fire, droplet, water wave, "
        "snowman, snowman without snow",
    ),
    # An icon of a computer mouse is called "scroll" in openmoji.
    "stationery": ("book-paper mail writing office", "love letter", "scroll"),
    "vehicle": (
        "transport-ground transport-water transport-air",
        "",
        "station, bus stop, motorway, railway track, oil drum, fuel pump, police car light, anchor, seat, wheel, "
        "horizontal traffic light, vertical traffic light, stop sign, construction, ring buoy",
    ),
}

# Things that fit their class but not a classroom, each with the reason. The rule: what is vulgar or sexual, a weapon,
# a drug or smoking is left out of every class. Weapons, cigarettes and pills lie in subcategories that no class takes,
# so these are all there are. Food and drink stay whole, with wine and beer in them.
NOT_FOR_CLASS = {
    "middle finger": "an obscene gesture",
    "love hotel": "a hotel for sex by the hour",
    "people with bunny ears": "bunny girls of a night club in several styles",
}


def code_of(hexcode: str) -> str:
    """Code points in lower case without the variation selector, joined by dashes."""
    return "-".join(part for part in hexcode.lower().split("-") if part != "fe0f")


def slug(label: str) -> str:
    """A CLDR name in the form the icon sets use."""
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain.replace("&", "and").replace("'", "")).strip("-")


def gendered_variant(code: str) -> bool:
    """Whether the code is a man's or woman's version of a person that exists without it."""
    return code.endswith(("-200d-2640", "-200d-2642")) or code.startswith(("1f468-200d", "1f469-200d"))


def belongs(label: str, group: str, groups: str, added: str, left_out: str) -> bool:
    """Whether a thing belongs to the class of the rule ``groups, added, left_out``."""
    if label in NOT_FOR_CLASS:
        return False
    return label in added.split(", ") or (group in groups.split() and label not in left_out.split(", "))


class IconSet:
    """One style: the icons of an ``@iconify-json`` package and how to draw them."""

    def __init__(self, style: str, cache: Path) -> None:
        archive = npm(f"@iconify-json/{style}", STYLES[style], cache)
        self.style, self.sheet = style, read_json(archive, "icons.json")
        self.icons, self.aliases = self.sheet["icons"], self.sheet.get("aliases", {})
        self.by_code = {code_of(k): v for k, v in read_json(archive, "chars.json").items()}

    def __contains__(self, name: str | None) -> bool:
        # An alias that turns or mirrors its icon would have to be drawn so; none of those is needed.
        return name in self.icons or set(self.aliases.get(name, {"": 0})) == {"parent"}

    def name_of(self, code: str, newest: str, names: list[str]) -> str | None:
        """The style's icon for a code: from its own table, else by the newest of the code's names that it has."""
        if self.by_code:
            return self.by_code.get(code)
        return next((n for n in sorted(names, key=lambda n: n != newest) if n in self), None)

    def draw(self, name: str) -> Image.Image:
        """The icon on white, ``DRAWN`` pixels square."""
        import resvg_py  # here, so that the choice of things can be tested where nothing is drawn

        while name in self.aliases:
            name = self.aliases[name]["parent"]
        icon = self.icons[name]
        left, top, width, height = (
            icon.get(key, self.sheet.get(key, default))
            for key, default in (("left", 0), ("top", 0), ("width", 16), ("height", 16))
        )
        svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" color="black" '
            f'viewBox="{left} {top} {width} {height}" width="{DRAWN}" height="{DRAWN}">{icon["body"]}</svg>'
        )
        png = bytes(resvg_py.svg_to_bytes(svg_string=svg))
        picture = Image.open(io.BytesIO(png)).convert("RGBA")
        page = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(page, picture).convert("RGB")


def names_of_codes(
    sets: dict[str, IconSet], emojis: list[dict], unicode_names: dict[str, str]
) -> dict[str, list[str]]:
    """For each code the names it goes or went by, without names that two codes share.

    Older icon sets have no table of code points, only CLDR names of their time. The names of all times come from
    Unicode and from the other sets' aliases. A name that has moved from one emoji to another decides nothing.
    """
    names = defaultdict(set)
    for icons in sets.values():
        also = defaultdict(set)
        for alias, entry in icons.aliases.items():
            also[entry["parent"]].add(alias)
            also[alias].add(entry["parent"])
        for code, name in icons.by_code.items():
            names[code] |= {name} | also[name]
    for emoji in emojis:
        names[code_of(emoji["hexcode"])].add(slug(emoji["label"]))
    for code, name in unicode_names.items():
        names[code_of(code)].add(slug(name))
    plain = {code_of(e["hexcode"]) for e in emojis}
    owners = defaultdict(set)
    for code in plain:
        for name in names[code]:
            owners[name].add(code)
    return {code: sorted(n for n in names[code] if owners[n] == {code}) for code in plain}


def choose(cache: Path) -> tuple[list[tuple[str, str, int, dict[str, str]]], dict[str, IconSet]]:
    """The concepts ``(code, name, class, icon name in each style)`` that every style draws, and the styles."""
    base = npm(*EMOJIBASE, cache)
    subgroups = read_json(base, "meta/groups.json")["subgroups"]
    emojis = sorted((e for e in read_json(base, "en/data.json") if "subgroup" in e), key=lambda e: e["order"])
    sets = {style: IconSet(style, cache) for style in STYLES}
    # The same names as its flat sister, and no table of its own.
    sets["fluent-emoji"].by_code = sets["fluent-emoji-flat"].by_code
    names = names_of_codes(sets, emojis, read_json(base, "meta/unicode-names.json"))
    members = defaultdict(list)
    for emoji in emojis:
        code, label, group = code_of(emoji["hexcode"]), emoji["label"], subgroups[str(emoji["subgroup"])]
        into = [i for i, rule in enumerate(CLASSES.values()) if belongs(label, group, *rule)]
        if not into or gendered_variant(code):
            continue
        icon = {style: s.name_of(code, slug(label), names[code]) for style, s in sets.items()}
        if all(icon[style] in sets[style] for style in STYLES):
            members[into[0]].append((code, label, into[0], icon))
    chosen = []
    for i in range(len(CLASSES)):
        every = np.linspace(0, len(members[i]) - 1, min(CAP, len(members[i]))).round().astype(int)
        chosen += [members[i][j] for j in every]
    return chosen, sets


def pictures(styles: list[str], concepts: list, sets: dict[str, IconSet]) -> np.ndarray:
    """Every concept in every style, style after style: (n, 32, 32, 3) uint8."""
    rows = [sets[s].draw(icon[s]).reduce(DRAWN // STORED) for s in styles for *_, icon in concepts]
    return np.stack([np.asarray(row) for row in rows])


def arrays_of(styles: list[str], concepts: list, x: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of a data file from its rows ``x``, style after style."""
    codes, labels, classes = (np.array([c[i] for c in concepts]) for i in range(3))
    return {
        "x": x,
        "y": np.tile(classes.astype(np.uint8), len(styles)),
        "domain": np.repeat(np.arange(len(styles), dtype=np.uint8), len(concepts)),
        "classes": np.array(list(CLASSES)),
        "domains": np.array(styles),
        "meta_concept": np.tile(codes, len(styles)),
        "meta_name": np.tile(labels, len(styles)),
    }


def main() -> None:
    options = command_line("Build emoji.npz and openmoji.npz.")
    concepts, sets = choose(options.cache)
    built = {}
    for name, styles in (("emoji", [s for s in STYLES if s != SHARE_ALIKE]), (SHARE_ALIKE, [SHARE_ALIKE])):
        built[name] = arrays_of(styles, concepts, pictures(styles, concepts, sets))
    finish(built, options)


if __name__ == "__main__":
    main()
