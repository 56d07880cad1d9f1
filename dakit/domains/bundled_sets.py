"""The data sets that travel with dakit: real, small, each with a card that says where it comes from.

A set is one or more ``.npz`` files of ``data/`` (``dakit/data`` once installed). Each file has the arrays
``x``, ``y``, ``domain`` (which of ``domains`` a row belongs to), ``classes``, ``domains``, and columns named
``meta_...``; the card of the same name has their sha256, licence and attribution. Share-alike data lie in files
of their own.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from dakit.domains.domain import Domain, DomainSet

# Set -> its files, its one line, and the option that adds another file.
_SETS: dict[str, tuple[tuple[str, ...], str, dict[str, str]]] = {
    "emoji": (
        ("emoji",),
        "524 things in 7 drawing styles (8 with openmoji=True), 10 classes, RGB 32x32",
        {"openmoji": "openmoji"},
    ),
    "emoji_features": (
        ("emoji_features",),
        "the emoji as 128 frozen ImageNet features, 7 styles (8 with openmoji=True), 10 classes",
        {"openmoji": "openmoji_features"},
    ),
    "digits": (
        ("digits", "mnist"),
        "printed fonts, UCI optdigits and MNIST, 10 classes, grey 16x16",
        {},
    ),
    "sentiment": (
        ("sentiment",),
        "sentences of tweets, movie and product reviews and editorials as 128 features, negative or positive",
        {},
    ),
    "penguins": (("penguins",), "4 body measures of 3 species of penguins, female or male", {}),
    "vowel": (("vowel",), "9 log area parameters of speech, 15 speakers, 11 vowels", {}),
    "watch": (
        ("watch",),
        "smartwatch accelerometer and gyroscope, 64 steps at 25 Hz, 10 subjects, 7 shoulder exercises",
        {},
    ),
}


def bundled() -> dict[str, str]:
    """Names of the bundled sets, each with one line on what it is.

    Examples
    --------
    >>> list(bundled())
    ['emoji', 'emoji_features', 'digits', 'sentiment', 'penguins', 'vowel', 'watch']
    """
    return {name: line for name, (_, line, _) in _SETS.items()}


def load(name: str, **options: bool) -> DomainSet:
    """A bundled set of domains.

    Parameters
    ----------
    name : str
        One of :func:`bundled`.
    **options : bool
        ``openmoji=True`` adds the share-alike style to ``"emoji"`` and ``"emoji_features"``; whatever is
        derived from it falls under CC-BY-SA 4.0.

    Returns
    -------
    DomainSet
        Images are float32 (n, channels, height, width) in [0, 1], features float32 (n, d), series float32
        (n, channels, time). ``card`` holds the cards of the files, with licences and attributions.

    Raises
    ------
    ValueError
        If no set has the name.
    TypeError
        If the set has no such option.
    FileNotFoundError
        If a data file is missing from the installation.

    Examples
    --------
    >>> digits = load("digits")
    >>> digits.names
    ('printed', 'optdigits', 'mnist')
    >>> digits["mnist"].shape
    (1, 16, 16)
    """
    if name not in _SETS:
        raise ValueError(f"no bundled set is called {name!r}; there are {', '.join(_SETS)}")
    files, _, extras = _SETS[name]
    for option in options:
        if option not in extras:
            known = f"its options are {', '.join(extras)}" if extras else "it has none"
            raise TypeError(f"{name!r} has no option {option!r}; {known}")
    files += tuple(extras[option] for option, wanted in options.items() if wanted)
    folder = _folder()
    domains = [domain for file in files for domain in _read(folder / f"{file}.npz")]
    cards = [
        (folder / f"{file}.md").read_text(encoding="utf-8")
        for file in files
        if (folder / f"{file}.md").is_file()
    ]
    return DomainSet(name, domains, "\n".join(cards))


def _folder() -> Path:
    """``dakit/data`` of an installed dakit, else ``data`` of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "data"
    return installed if installed.is_dir() else package.parent / "data"


def _read(path: Path) -> list[Domain]:
    """The domains of one data file, in its order."""
    if not path.is_file():
        raise FileNotFoundError(
            f"the bundled file {path.name} is missing from {path.parent}; install dakit again"
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as broken:
        raise ValueError(f"the bundled file {path} is damaged ({broken}); install dakit again") from None
    x = torch.from_numpy(arrays["x"])
    if x.dtype == torch.uint8:
        x = x.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format) / 255
    x, y = x.to(torch.float32), torch.from_numpy(arrays["y"].astype(np.int64))
    classes = tuple(arrays["classes"].tolist())
    columns = {key.removeprefix("meta_"): column for key, column in arrays.items() if key.startswith("meta_")}
    features = tuple(arrays["features"].tolist()) if "features" in arrays else ()
    domains = []
    for i, name in enumerate(arrays["domains"].tolist()):
        rows = np.flatnonzero(arrays["domain"] == i)
        meta = {key: column[rows] for key, column in columns.items()}
        domains.append(Domain(name, x[rows], y[rows], classes, meta, features))
    return domains
