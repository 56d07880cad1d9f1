import pytest
import torch

from dakit.domains.domain import Domain
from dakit.training.batches import Batches
from tests.training.toys import blobs, pictures

CPU = torch.device("cpu")


def batches(domain, size=8, **options):
    return Batches(domain, size, **{"role": 0, "seed": 0, "device": CPU, **options})


def test_an_epoch_is_one_permutation_without_repeats():
    domain = blobs(50)
    b = batches(domain)
    for epoch in range(3):
        seen = torch.cat([b.next().index for _ in range(b.per_epoch)])
        assert b.epoch == epoch
        assert b.per_epoch == 6
        assert len(seen.unique()) == 48
    first = torch.cat([batches(domain).next().index for _ in range(2)])
    assert torch.equal(first[:8], first[8:]), "a seed is an order"
    assert not torch.equal(batches(domain, seed=1).next().index, first[:8])


def test_a_batch_holds_the_rows_it_says():
    domain = blobs(50)
    batch = batches(domain, role=1).next()
    assert torch.equal(batch.x, domain.x[batch.index])
    assert torch.equal(batch.y, domain.y[batch.index])
    assert batch.domain == 1
    assert len(batch) == 8
    assert batches(domain.unlabeled()).next().y is None


def test_a_batch_size_beyond_the_domain_is_clipped():
    b = batches(blobs(6), 64)
    assert b.batch_size == 6
    assert sorted(b.next().index.tolist()) == list(range(6))


@pytest.mark.parametrize("channels_last", [False, True])
def test_streaming_gives_the_same_batches_as_resident_tensors(channels_last):
    domain = pictures(30)
    resident, streamed = batches(domain), batches(domain, resident_bytes=0)
    assert resident.resident
    assert not streamed.resident
    if channels_last:
        resident.to_channels_last()
        streamed.to_channels_last()
    for _ in range(11):
        a, b = resident.next(), streamed.next()
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.x, domain.x[a.index])
        assert torch.equal(a.y, b.y)
        assert a.x.is_contiguous(
            memory_format=torch.channels_last if channels_last else torch.contiguous_format
        )
        assert b.x.is_contiguous(
            memory_format=torch.channels_last if channels_last else torch.contiguous_format
        )


@pytest.mark.parametrize("resident_bytes", [0, 2**30])
@pytest.mark.parametrize("done", [0, 2, 3, 5])
def test_rewinding_gives_the_same_batches_again(resident_bytes, done):
    b = batches(blobs(26), resident_bytes=resident_bytes, augment=lambda x, g: x + torch.rand(1, generator=g))
    for _ in range(done):
        b.next()
    mark = b.mark()
    expected = [b.next().x for _ in range(7)]
    b.rewind(mark)
    assert all(torch.equal(b.next().x, x) for x in expected)


def test_a_sample_leaves_the_order_alone():
    b, twin = batches(blobs(50)), batches(blobs(50))
    b.sample()
    assert torch.equal(b.next().index, twin.next().index)


def test_a_memory_mapped_domain_streams(tmp_path):
    import numpy as np

    values = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.float32, shape=(20, 3))
    values[:] = np.arange(60).reshape(20, 3)
    domain = Domain("mapped", torch.from_numpy(values), torch.zeros(20, dtype=torch.int64), ("a", "b"))
    batch = batches(domain, resident_bytes=0).next()
    assert torch.equal(batch.x, domain.x[batch.index])
