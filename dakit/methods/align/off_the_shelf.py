"""Off the shelf: a frozen network's features and a linear classifier, and no adaptation at all.

A network trained on another task is left as it is; what one of its late layers says about a picture is normalised to
length 1 and handed to a linear support vector machine. What adaptation is worth is measured from here.

Setting: labelled rows of the task at hand, and a network from another task. Target rows are not used: across domains
this is a source-only baseline, within one domain it is transfer from the network's task.

Assumes: the network's task needed what this task needs, so that a hyperplane in its features separates the classes.

Objective: frozen features f(x) in R^d, u = f / ||f||, for each class c against the rest with labels y_ic = ±1,

    min over w_c, b_c of  1/2 (||w_c||² + b_c²) + C Σ_i max(0, 1 - y_ic (w_c' u_i + b_c))²;

a row goes to the class with the largest w_c' u + b_c.

Augmented: 16 views of every picture (whole, four corners, centre, two rotations, and all mirrored), u = p / ||p|| with
p = sign(f) |f|^power entry by entry, every view a row in training, and the scores of the 16 views summed at test.

Fails when: the task lies far from what the network was trained on, when a mirrored or cropped view has another label
(digits, orientation), and where the network throws away what the task asks for (colour, position). Compare with the
same network untrained before giving the training credit, and search C for every competitor alike.

Paper: Razavian, Azizpour, Sullivan, Carlsson, CNN Features off-the-shelf: an Astounding Baseline for Recognition, CVPR
workshops 2014, arXiv:1403.6382. The paper has OverFeat, 4096 features and no code. Squared hinge is scikit-learn's
LinearSVC; power 2 is what we recall of the paper's retrieval, its exponent for classification we could not check.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.svm import LinearSVC
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from dakit.methods.parameters import check_int, check_real
from dakit.methods.retrieval import unit_rows
from dakit.methods.rows import as_array
from dakit.methods.shallow import DomainAdapter, _inner_has
from dakit.methods.summed_views import SummedViews
from dakit.models.frozen import frozen_features
from dakit.models.looks import VIEWS, sixteen_views

__all__ = ["OffTheShelf"]


class OffTheShelf(DomainAdapter):
    """Frozen features, normalised, and a linear one-vs-rest support vector machine.

    Without ``backbone`` the rows are features already. Rows without a label need not be there: all rows may be
    labelled.

    Parameters
    ----------
    C : float > 0, or sequence of float
        Weight of the errors. Of several the best is taken by cross-validation over the labelled rows (the first where
        a class has a single row, which leaves nothing to validate on).
    backbone : nn.Module, optional
        A network from (b, channels, height, width) to (b, d). It is never trained. ``X`` then holds pictures, floats
        in [0, 1]; pictures flattened to rows do as well if the backbone's ``spec`` has their shape.
    layer : str, optional
        A layer of the backbone, see :func:`~dakit.models.frozen.frozen_features`. By default its output.
    augment : bool
        Use the 16 views of each picture; needs ``backbone``.
    power : float > 0, optional
        Signed power of each entry before rows are normalised. By default 2 with ``augment``, else 1.
    folds : int
        Of the cross-validation; fewer where a class has fewer rows.
    batch_size : int
        Pictures that the network sees at once.
    estimator : classifier, optional
        Instead of the support vector machine. A search over ``C`` sets its parameter of that name; ``augment`` needs
        its ``decision_function``.
    random_state : int, optional
        Draws the folds.

    Attributes
    ----------
    C_ : float
        What the search chose.
    classes_, estimator_

    Examples
    --------
    >>> X = [[1.0, 0.1], [5.0, 1.0], [0.1, 1.0], [1.0, 9.0], [2.0, 0.0], [0.0, 3.0]]
    >>> model = OffTheShelf().fit(X, [0, 0, 1, 1, -1, -1])  # -1: not labelled, not used
    >>> model.predict([[200.0, 1.0], [0.01, 0.02]]).tolist()
    [0, 1]
    """

    _least_target = 0

    def __init__(
        self,
        *,
        C: Any = 1.0,
        backbone: Any = None,
        layer: str | None = None,
        augment: bool = False,
        power: float | None = None,
        folds: int = 5,
        batch_size: int = 256,
        estimator: Any = None,
        random_state: Any = None,
    ) -> None:
        self.C = C
        self.backbone = backbone
        self.layer = layer
        self.augment = augment
        self.power = power
        self.folds = folds
        self.batch_size = batch_size
        self.estimator = estimator
        self.random_state = random_state

    # -- features ---------------------------------------------------------------------------------------------

    def _rows(self, X, *, reset):
        if self.backbone is None:
            if self.augment or self.layer is not None:
                raise ValueError("augment and layer need backbone, the network that looks at pictures")
            return super()._rows(X, reset=reset)
        batch = check_int("batch_size", self.batch_size, 1)
        pictures = self._pictures(X)
        if not self.augment:
            f = frozen_features(self.backbone, pictures, layer=self.layer, batch_size=batch)
            return super()._rows(f, reset=reset)
        parts = [
            frozen_features(self.backbone, views.flatten(0, 1), layer=self.layer, batch_size=batch)
            for views in map(sixteen_views, pictures.split(max(1, batch // VIEWS)))
        ]
        return super()._rows(np.concatenate(parts).reshape(len(pictures), -1), reset=reset)

    def _pictures(self, X) -> torch.Tensor:
        x = torch.as_tensor(X if isinstance(X, torch.Tensor) else np.asarray(X))
        shape = tuple(getattr(self.backbone, "spec", {}).get("shape", ()))
        if x.ndim == 2 and len(shape) == 3 and x.shape[1] == math.prod(shape):
            x = x.view(len(x), *shape)
        if x.ndim != 4 or not len(x):
            raise ValueError(
                f"with a backbone X holds pictures (n, channels, height, width), got shape {tuple(x.shape)}"
            )
        if not x.is_floating_point():
            raise TypeError(f"pictures must be floats in [0, 1], got {x.dtype}; divide 8-bit pictures by 255")
        return x

    def _check_domains(self, xs, ys, xt):
        if self.backbone is not None and xs.ndim > 2 and xs.shape[1:] == xt.shape[1:]:
            xs, xt = xs.reshape(len(xs), -1), xt.reshape(len(xt), -1)
        super()._check_domains(xs, ys, xt)

    def _align(self, xs, ys, xt):
        return self._map(xs, True), self._map(xt, False)

    def _map(self, x, source):
        power = (2.0 if self.augment else 1.0) if self.power is None else self.power
        power = check_real("power", power, open_low=True)
        views = VIEWS if self.augment else 1
        return unit_rows(x.reshape(len(x), views, x.shape[1] // views), power).reshape(x.shape)

    # -- the classifier ---------------------------------------------------------------------------------------

    def _candidates(self) -> list[float]:
        given = as_array(self.C)
        if given.ndim > 1 or given.size == 0:
            raise ValueError(f"C must be a number or a sequence of numbers, got {self.C!r}")
        return [check_real("C", c, open_low=True) for c in given.reshape(-1).tolist()]

    def _default_classifier(self):
        # The primal solver: as exact as the dual one, and up to 20 times as fast on pixels with a large C.
        return LinearSVC(C=self._candidates()[0], dual=False, max_iter=20_000)

    def _train(self, zs, ys, zt):
        candidates, folds = self._candidates(), check_int("folds", self.folds, 2)
        model, name = self._classifier(), "C"
        if self.augment:
            model, name = SummedViews(model, views=VIEWS), "estimator__C"
        folds = min(folds, int(np.bincount(ys).min()))
        self.C_ = candidates[0]
        if len(candidates) == 1:
            return model.fit(zs, ys)
        if name not in model.get_params():
            raise ValueError(f"{type(self._classifier()).__name__} has no parameter C to search over")
        if folds < 2:
            return model.set_params(**{name: self.C_}).fit(zs, ys)
        # One generator for a seed drawn once, so that a clone with the same random_state gets the same folds.
        seed = check_random_state(self.random_state).randint(2**31)
        folding = StratifiedKFold(folds, shuffle=True, random_state=seed)
        search = GridSearchCV(model, {name: candidates}, cv=folding).fit(zs, ys)
        self.C_ = search.best_params_[name]
        return search.best_estimator_

    @available_if(_inner_has("decision_function"))
    def decision_function(self, X: Any, sample_domain: Any = None) -> np.ndarray:
        """Scores of shape (n, k), or (n,) for two classes; with ``augment`` the sum over the views."""
        z = self.transform(X, sample_domain)
        return self.estimator_.decision_function(z)
