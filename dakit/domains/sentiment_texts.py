"""The bundled ``sentiment`` set with its sentences, read from the package archive that holds them.

The sentences are not ours to ship: they were written by the people who tweeted and reviewed. What dakit ships are
their vectors and labels, each with the ``id`` of its sentence. Whoever has the source archive of ``vaderSentiment``
0.5 (``pip download --no-deps --no-binary :all: vaderSentiment==0.5``) gets the sentences back here, row by row.

Source: C. J. Hutto and E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media
Text", ICWSM 2014.
"""

from __future__ import annotations

import html
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dakit.domains.domain import DomainSet

FILES = {  # domain -> end of the name of its file inside the archive
    "tweets": "tweets_GroundTruth.txt",
    "movies": "movieReviewSnippets_GroundTruth.txt",
    "amazon": "amazonReviewSnippets_GroundTruth.txt",
    "nyt": "nytEditorialSnippets_GroundTruth.txt",
}
_LIMIT = 20_000_000  # bytes of one file inside the archive; the largest has 2.5 million
_DEPTH = 3  # archives inside archives


class Sentence(NamedTuple):
    """One rated sentence: its id in the archive, the mean rating (-4 .. 4) of its judges, the text."""

    id: str
    rating: float
    text: str


def read_sentences(archive: str | Path) -> dict[str, list[Sentence]]:
    """All rated sentences of each domain, in the archive's order.

    Parameters
    ----------
    archive : path
        The source archive of vaderSentiment 0.5 (zip or tar.gz), or the ``hutto_ICWSM_2014.tar.gz`` inside it. It is
        read in memory; nothing is unpacked to disk.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no archive, lacks one of the four rating files, or one of them is malformed.
    """
    path = Path(archive)
    if not path.is_file():
        raise FileNotFoundError(
            f"no archive at {path}; fetch it with: pip download --no-deps vaderSentiment==0.5"
        )
    found: dict[str, list[Sentence]] = {}
    for name, content in _files(path.name, path.read_bytes()):
        for domain, ending in FILES.items():
            if name.rsplit("/", 1)[-1] == ending and domain not in found:
                found[domain] = _parse(name, content)
    missing = [ending for domain, ending in FILES.items() if domain not in found]
    if missing:
        raise ValueError(
            f"{path.name} holds no {', '.join(missing)}; it should be the archive of vaderSentiment 0.5"
        )
    return {domain: found[domain] for domain in FILES}


def load_sentiment_texts(archive: str | Path) -> DomainSet:
    """The bundled ``sentiment`` set with the sentences in ``meta["text"]``.

    Vectors, labels and order are those of ``load("sentiment")``; only the column ``text`` is added.

    Parameters
    ----------
    archive : path
        See :func:`read_sentences`.

    Returns
    -------
    DomainSet
        Domains ``tweets``, ``movies``, ``amazon`` and ``nyt``.

    Raises
    ------
    FileNotFoundError
        If there is no such archive.
    ValueError
        If the archive is not the right one, or lacks a sentence of the bundled set.
    """
    from dakit.domains.bundled_sets import load

    vectors, sentences = load("sentiment"), read_sentences(archive)
    domains = []
    for name, domain in vectors.items():
        texts = {s.id: s.text for s in sentences[name]}
        ids = domain.meta["id"].tolist()
        absent = [i for i in ids if i not in texts]
        if absent:
            raise ValueError(
                f"the archive lacks {len(absent)} {name} sentences of the bundled set, first {absent[0]!r}"
            )
        column = np.array([texts[i] for i in ids])
        domains.append(replace(domain, meta={**domain.meta, "text": column}))
    return DomainSet(vectors.name, domains, vectors.card)


def _files(name: str, content: bytes, depth: int = 0) -> Iterator[tuple[str, bytes]]:
    """Every plain file of an archive, and of the archives inside it, as (name, content)."""
    try:
        if name.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(content)) as z:
                inner = [(i.filename, z.read(i)) for i in z.infolist() if _wanted(i.filename, i.file_size)]
        elif name.endswith((".tar.gz", ".tgz", ".tar")):
            with tarfile.open(fileobj=io.BytesIO(content)) as t:
                members = [m for m in t.getmembers() if m.isreg() and _wanted(m.name, m.size)]
                inner = [(m.name, t.extractfile(m).read()) for m in members]
        elif depth == 0:
            raise ValueError(f"{name} is no .zip or .tar.gz archive")
        else:
            yield name, content
            return
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, RuntimeError) as broken:
        raise ValueError(f"{name} cannot be read as an archive: {broken}") from None
    if depth < _DEPTH:
        for inner_name, inner_content in inner:
            yield from _files(inner_name, inner_content, depth + 1)


def _wanted(name: str, size: int) -> bool:
    return size <= _LIMIT and name.endswith((*FILES.values(), ".zip", ".tar.gz", ".tgz", ".tar"))


def _parse(name: str, content: bytes) -> list[Sentence]:
    """Lines ``id <tab> rating <tab> text``; HTML entities in the text are resolved."""
    sentences = []
    # Not splitlines(): sentences may hold characters that it takes for line ends.
    for number, line in enumerate(content.decode("utf-8", errors="replace").split("\n"), 1):
        parts = line.rstrip("\r").split("\t", 2)
        if not line.strip():
            continue
        try:
            sentences.append(Sentence(parts[0], float(parts[1]), html.unescape(parts[2])))
        except (IndexError, ValueError):
            raise ValueError(
                f"{name}, line {number}: expected id, rating and text separated by tabs"
            ) from None
    return sentences
