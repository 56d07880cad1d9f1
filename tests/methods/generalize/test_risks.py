"""Risks by domain: cut where the domains meet, and a weight that waits."""

import pytest
import torch
import torch.nn.functional as F

from dakit.methods.generalize.risks import annealed, by_domain, risks
from tests.methods.generalize.toys import SOURCES, batch_of

PARTS = [batch_of([SOURCES[0]], 5), batch_of([SOURCES[1]], 3)]


def test_rows_go_to_their_domain():
    first, second = by_domain(torch.arange(8), PARTS)
    assert first.tolist() == [0, 1, 2, 3, 4]
    assert second.tolist() == [5, 6, 7]


def test_each_risk_is_the_mean_over_its_own_domain():
    logits = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    each = risks(logits, PARTS)
    assert torch.allclose(each[0], F.cross_entropy(logits[:5], PARTS[0].y))
    assert torch.allclose(each[1], F.cross_entropy(logits[5:], PARTS[1].y))
    pooled = F.cross_entropy(logits, torch.cat([p.y for p in PARTS]))
    assert torch.allclose((5 * each[0] + 3 * each[1]) / 8, pooled)
    smooth = risks(logits, PARTS, label_smoothing=0.2)
    assert torch.allclose(smooth[1], F.cross_entropy(logits[5:], PARTS[1].y, label_smoothing=0.2))


@pytest.mark.parametrize(
    ("progress", "share", "weight"),
    [
        (0.0, 0.1, 1.0),
        (0.09, 0.1, 1.0),
        (0.1, 0.1, 50.0),
        (1.0, 0.1, 50.0),
        (0.0, 0.0, 50.0),
        (1.0, 1.0, 1.0),
    ],
)
def test_the_weight_waits_for_its_share_of_the_training(progress, share, weight):
    assert annealed(50.0, progress, share, before=1.0) == weight
