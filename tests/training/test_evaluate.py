import numpy as np
import pytest
import torch
from torch import nn

from dakit import methods
from dakit.domains.domain import Domain
from dakit.methods.method import Method
from dakit.training import evaluate, fit
from dakit.training.evaluate import outputs
from tests.training.toys import QUICK, blobs, poisoned


class _Reads(Method):
    """The inputs are the logits."""

    def __init__(self, k):
        backbone = nn.Identity()
        backbone.out_features = k
        super().__init__(backbone, k)
        self.head = nn.Identity()


def test_accuracy_per_class_and_confusion_by_hand():
    logits = torch.tensor([[2.0, 1, 0], [0, 2, 1], [0, 2, 1], [0, 1, 2]])
    domain = Domain("four", logits, torch.tensor([0, 1, 0, 1]), ("a", "b", "c"))
    result = evaluate(_Reads(3), domain)
    assert result.accuracy == 0.5
    assert result.confusion.tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert result.per_class["a"] == result.per_class["b"] == 0.5
    assert np.isnan(result.per_class["c"]), "a class without examples has no accuracy"
    assert result.n == 4
    assert str(result) == "accuracy 0.500 on 4 examples"


def test_agrees_with_scikit_learn_and_torchmetrics():
    from sklearn.metrics import accuracy_score, confusion_matrix, recall_score
    from torchmetrics.functional.classification import multiclass_accuracy, multiclass_confusion_matrix

    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(701, 5, generator=generator)
    y = torch.randint(0, 5, (701,), generator=generator)
    result = evaluate(_Reads(5), Domain("many", logits, y, tuple("abcde")), batch_size=64)
    predicted = logits.argmax(dim=1)
    assert result.accuracy == pytest.approx(accuracy_score(y, predicted))
    assert np.array_equal(result.confusion, confusion_matrix(y, predicted))
    assert list(result.per_class.values()) == pytest.approx(recall_score(y, predicted, average=None))
    assert np.array_equal(result.confusion, multiclass_confusion_matrix(logits, y, 5).numpy())
    assert result.accuracy == pytest.approx(multiclass_accuracy(logits, y, 5, average="micro").item())


def test_outputs_do_not_depend_on_the_batch_size():
    method, x = methods.build("source_only", blobs()), blobs(101).x
    for batch_size in (1, 7, 1000):
        z, logits = outputs(method, x, batch_size=batch_size)
        assert torch.allclose(z, method.features(x), atol=1e-6)
        assert torch.allclose(logits, method.logits(x), atol=1e-6)
        assert not logits.requires_grad


def test_every_modules_mode_is_restored_and_nothing_is_learned():
    source = blobs()
    method = methods.build(
        "source_only", source, backbone={"name": "mlp", "hidden": (6, 6), "norm": "batch", "dropout": 0.5}
    )
    method.train()
    frozen = method.backbone.layers[2]
    frozen.eval()
    before = {k: v.clone() for k, v in method.state_dict().items()}
    first = evaluate(method, source)
    assert method.training
    assert not frozen.training
    assert all(torch.equal(v, before[k]) for k, v in method.state_dict().items())
    assert np.array_equal(evaluate(method, source).confusion, first.confusion), "dropout is off"


def test_a_method_with_logits_of_its_own_is_asked_for_them():
    class Flipped(Method):
        def logits(self, x):
            return -super().logits(x)

    source = blobs()
    plain = methods.build("source_only", source)
    flipped = Flipped(plain.backbone, 2)
    flipped.head = plain.head
    assert evaluate(flipped, source).accuracy == pytest.approx(1 - evaluate(plain, source).accuracy)


def test_a_run_is_evaluated_on_the_labels_it_is_given():
    source = blobs()
    run = fit("source_only", source, source.unlabeled(), **QUICK)
    assert run.evaluate(poisoned(source)).accuracy == pytest.approx(1 - run.evaluate(source).accuracy)


def test_bad_input_is_told():
    source = blobs()
    run = fit("source_only", source, source.unlabeled(), **QUICK)
    with pytest.raises(ValueError, match="domain 'blobs' has no labels"):
        evaluate(run, source.unlabeled())
    with pytest.raises(ValueError, match=r"has the classes \['right', 'left'\], the run was trained on"):
        evaluate(run, Domain("other", source.x, source.y, ("right", "left")))
    with pytest.raises(ValueError, match="has 3 classes, the method knows 2"):
        evaluate(run.method, Domain("other", source.x, source.y, ("a", "b", "c")))
