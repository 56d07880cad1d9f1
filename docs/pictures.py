"""The pictures of the README, drawn again: the demo's first pair before and after adaptation.

python docs/pictures.py
"""

from pathlib import Path

from dakit import domains, views
from dakit.bench import compare, make_task
from dakit.bench.demo import PAIRS, SETTINGS, SHOWN
from dakit.bench.pages import alignment

IMG = Path(__file__).parent / "img"


def main() -> None:
    IMG.mkdir(exist_ok=True)
    pair = PAIRS[0]
    loaded, styles = domains.load(pair.set), domains.load(pair.pictures)
    result = compare(
        lambda seed: make_task(*loaded.pair(pair.source, pair.target, seed=seed), seed=seed),
        ("source_only", SHOWN),
        seeds=1,
        progress=False,
        **SETTINGS[pair.set],
    )
    alignment(result, SHOWN).save(IMG / "alignment.png")
    views.samples(styles[pair.source], styles[pair.target], per_class=2).save(IMG / "samples.png")
    for picture in sorted(IMG.glob("*.png")):
        print(picture.name, picture.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
