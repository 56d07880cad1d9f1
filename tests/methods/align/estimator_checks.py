"""scikit-learn's own checks for the shallow methods."""

import inspect

import numpy as np
import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

# For methods that map source and target rows differently.
TWO_MAPS = dict.fromkeys(
    ["check_transformer_general", "check_transformer_data_not_an_array"],
    "fit_transform maps each row as one of its own domain, transform takes rows for the target's",
)


def with_target(cls):
    """A subclass of ``cls`` for checks that know nothing of domains.

    Without ``sample_domain``, two rows of every five are the target.
    """

    class Checked(cls):
        __init__ = cls.__init__  # scikit-learn reads the parameters off it

        def _with_domain(self, X, y, sample_domain):
            if sample_domain is None and y is not None:
                return np.where(np.isin(np.arange(len(np.asarray(y))) % 5, [1, 3]), -1, 1)
            return sample_domain

        def fit(self, X, y, sample_domain=None):
            return super().fit(X, y, self._with_domain(X, y, sample_domain))

        def fit_transform(self, X, y=None, sample_domain=None):
            return super().fit_transform(X, y, self._with_domain(X, y, sample_domain))

    Checked.__name__ = cls.__name__
    Checked.__qualname__ = f"{cls.__name__}_checked"
    Checked.__module__ = __name__
    globals()[Checked.__qualname__] = Checked  # pickle looks it up here
    return Checked


def sklearn_checks(estimator, skip=None):
    """Parameters for ``pytest.mark.parametrize("estimator, check", ...)``.

    Parameters
    ----------
    estimator : instance of a DomainAdapter
    skip : dict of check name to the reason why it cannot hold
    """
    skip = skip or {}
    checked = with_target(type(estimator))(**estimator.get_params(deep=False))
    pairs = list(estimator_checks_generator(checked, legacy=True, expected_failed_checks=None))
    names = [getattr(check, "func", check).__name__ for _, check in pairs]
    unknown = set(skip) - set(names)
    assert not unknown, f"no such checks: {unknown}"
    for (checked, check), name in zip(pairs, names):
        marks = [pytest.mark.skip(reason=skip[name])] if name in skip else []
        yield pytest.param(checked, check, id=name, marks=marks)


def keyword_parameters(cls):
    """Names of the hyper-parameters of a class."""
    return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]
