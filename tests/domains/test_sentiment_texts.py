"""Sentences put back beside their vectors, on a made-up archive of the real one's form."""

import io
import tarfile
import zipfile

import numpy as np
import pytest
import torch

from dakit import domains
from dakit.domains.sentiment_texts import FILES, load_sentiment_texts, read_sentences


def rating_files(change=lambda domain, lines: lines) -> dict[str, bytes]:
    """The four rating files with a made-up sentence for every id of the bundled set."""
    files = {}
    for name, domain in domains.load("sentiment").items():
        ids, ratings = domain.meta["id"].tolist(), domain.meta["rating"].tolist()
        lines = [f"{i}\t{r:.4f}\tmade up for {name} {i} &amp; co" for i, r in zip(ids, ratings)]
        lines = change(name, ["999999\t0.1\tnot in the set", *reversed(lines)])
        files[f"hutto_ICWSM_2014/{FILES[name]}"] = "\r\n".join(lines).encode()
    return files


def tar_gz(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as t:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            t.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def source_archive(path, files: dict[str, bytes]):
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("vaderSentiment-0.5/README.txt", "a reading")
        z.writestr("vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz", tar_gz(files))
    return path


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return source_archive(tmp_path_factory.mktemp("archive") / "vaderSentiment-0.5.zip", rating_files())


def test_texts_stand_beside_their_own_vectors(archive):
    plain, texts = domains.load("sentiment"), load_sentiment_texts(archive)
    assert texts.names == plain.names and texts.card == plain.card
    for name, domain in texts.items():
        expected = [f"made up for {name} {i} & co" for i in domain.meta["id"]]
        assert domain.meta["text"].tolist() == expected
        assert torch.equal(domain.x, plain[name].x) and torch.equal(domain.y, plain[name].y)


def test_the_inner_archive_and_a_tar_of_it_do_as_well(tmp_path):
    files = rating_files()
    inner, outer = tmp_path / "hutto_ICWSM_2014.tar.gz", tmp_path / "vaderSentiment-0.5.tar.gz"
    inner.write_bytes(tar_gz(files))
    outer.write_bytes(tar_gz({"v/hutto_ICWSM_2014.tar.gz": inner.read_bytes()}))
    assert read_sentences(inner) == read_sentences(outer)


def test_ratings_and_order_are_those_of_the_file(tmp_path):
    def three(domain, lines):
        return [f"1\t-2.5\tbad {domain}", "2_1\t0\tso\tso", "", "3\t3.25\tgood\x85still good"]

    path = source_archive(tmp_path / "v.zip", rating_files(three))
    found = read_sentences(path)["tweets"]
    assert [s.id for s in found] == ["1", "2_1", "3"]
    assert [s.rating for s in found] == [-2.5, 0.0, 3.25]
    assert [s.text for s in found] == ["bad tweets", "so\tso", "good\x85still good"]


def test_nothing_is_unpacked_to_disk(tmp_path):
    files = {f"../../{name}": content for name, content in rating_files().items()}
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    load_sentiment_texts(source_archive(folder / "v.zip", files))
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["v.zip"]


def test_a_missing_archive_says_how_to_fetch_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="pip download --no-deps"):
        load_sentiment_texts(tmp_path / "nowhere.zip")


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    for name, content in {
        "notes.txt": b"hello",
        "v.zip": b"hello",
        "v.tar.gz": b"\x1f\x8b" + bytes(40),
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=r"no \.zip or \.tar\.gz archive|cannot be read as an archive"):
            read_sentences(tmp_path / name)


def test_another_archive_is_refused_by_what_it_lacks(tmp_path):
    files = {k: v for k, v in rating_files().items() if not k.endswith(FILES["nyt"])}
    with pytest.raises(ValueError, match=r"holds no nytEditorialSnippets_GroundTruth\.txt"):
        read_sentences(source_archive(tmp_path / "v.zip", files))


def test_a_sentence_that_is_not_there_is_named(tmp_path):
    first = str(domains.load("sentiment")["movies"].meta["id"][0])

    def without_first(domain, lines):
        return [line for line in lines if domain != "movies" or not line.startswith(f"{first}\t")]

    with pytest.raises(ValueError, match=f"lacks 1 movies sentences of the bundled set, first '{first}'"):
        load_sentiment_texts(source_archive(tmp_path / "v.zip", rating_files(without_first)))


@pytest.mark.parametrize("line", ["no tabs", "1\tnot a number\ttext", "1\t2.0"])
def test_a_malformed_line_is_named(tmp_path, line):
    path = source_archive(tmp_path / "v.zip", rating_files(lambda domain, lines: ["1\t1\tfine", line]))
    with pytest.raises(ValueError, match=r"GroundTruth\.txt, line 2: expected id, rating and text"):
        read_sentences(path)


def test_the_bundled_file_holds_no_text():
    with np.load(domains.bundled_sets._folder() / "sentiment.npz", allow_pickle=False) as file:
        columns = {key: file[key].dtype for key in file.files if file[key].dtype.kind == "U"}
    assert set(columns) == {"classes", "domains", "meta_id"}
    assert columns["meta_id"].itemsize // 4 < 12  # characters
