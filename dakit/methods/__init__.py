"""The methods, one file each.

>>> names()[:2], names()[-1]  # from the baseline to the bound
(['source_only', 'dann'], 'oracle')
>>> estimators()["coral"].__name__  # shallow methods are scikit-learn estimators
'CORAL'
>>> print(describe("dann").setting)
labelled source, unlabelled target, the same classes (unsupervised domain adaptation).
"""

import copy
import importlib
import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from dakit.domains.domain import Domain
from dakit.domains.pooling import pool
from dakit.methods.method import Batch, Method

# By family: name, file and class, in the order in which tables show them: the baseline first, the bound last.
# The file is dakit/methods/<part>/<name>.py; it loads on first use.
_FAMILIES: dict[str, dict[str, str]] = {
    "no adaptation": {
        "source_only": "align.SourceOnly",
    },
    "adversaries": {
        "dann": "align.DANN",
        "cdan": "align.CDAN",
        "adda": "align.ADDA",
        "mcd": "align.MCD",
        "swd": "align.SWD",
        "mdd": "align.MDD",
    },
    "moments and transport": {
        "dan": "align.DAN",
        "jan": "align.JAN",
        "dsan": "align.DSAN",
        "deep_coral": "align.DeepCORAL",
        "cmd": "align.CMD",
        "homm": "align.HoMM",
        "deepjdot": "align.DeepJDOT",
    },
    "one's own predictions": {
        "mcc": "align.MCC",
        "fixmatch": "align.FixMatch",
        "cluster_self_training": "align.ClusterSelfTraining",
    },
    "norms of features, and layers of normalisation": {
        "afn": "align.AFN",
        "bsp": "align.BSP",
        "adabn": "align.AdaBN",
        "dsbn": "align.DSBN",
        "ibn": "align.IBN",
        "gdcan": "align.GDCAN",
    },
    "several sources": {
        "m3sda": "align.M3SDA",
        "dctn": "align.DCTN",
    },
    "other classes in the target": {
        "pada": "labels.PADA",
        "osbp": "labels.OSBP",
        "dance": "labels.DANCE",
    },
    "no source any more": {
        "shot": "labels.SHOT",
        "nrc": "labels.NRC",
        "tent": "labels.Tent",
        "cotta": "labels.CoTTA",
    },
    "no target yet": {
        "erm": "generalize.ERM",
        "irm": "generalize.IRM",
        "vrex": "generalize.VREx",
        "groupdro": "generalize.GroupDRO",
        "mixup": "generalize.Mixup",
        "mixstyle": "generalize.MixStyle",
        "coral_dg": "generalize.CORALDG",
        "mldg": "generalize.MLDG",
        "fishr": "generalize.Fishr",
        "swad": "generalize.SWAD",
    },
    "the bound": {
        "oracle": "align.Oracle",
    },
}
_METHODS = {name: where for family in _FAMILIES.values() for name, where in family.items()}

# Shallow methods, scikit-learn estimators: the class of dakit.methods.align.<name>.
_ESTIMATORS: dict[str, str] = {
    "off_the_shelf": "OffTheShelf",
    "standardise": "Standardise",
    "coral": "CORAL",
    "linear_monge": "LinearMonge",
    "sa": "SubspaceAlignment",
    "gfk": "GFK",
    "tca": "TCA",
    "jda": "JDA",
    "bda": "BDA",
    "msda": "MSDA",
    "ot": "OT",
    "jdot": "JDOT",
    "reweight": "Reweight",
    "self_training": "SelfTraining",
    "fa": "FeatureAugmentation",
    "tradaboost": "TrAdaBoost",
    "mmdt": "MMDT",
}

_FILES = {where.rpartition(".")[2]: name for name, where in _METHODS.items()}
_FILES |= {cls: name for name, cls in _ESTIMATORS.items()}
__all__ = [
    "Batch",
    "Description",
    "Method",
    "build",
    "describe",
    "estimators",
    "families",
    "from_spec",
    "names",
    "spec",
]
__all__ += ["spec", *sorted(_FILES)]


def __getattr__(name: str):
    if name in _FILES:
        key = _FILES[name]
        return _estimator(key) if key in _ESTIMATORS else _class(key)
    raise AttributeError(f"module 'dakit.methods' has no attribute {name!r}")


@dataclass(frozen=True)
class Description:
    """What a method says about itself, read from the docstring of its file."""

    name: str
    summary: str
    setting: str
    assumption: str
    fails_when: str
    paper: str


def names() -> list[str]:
    """Names of all methods that ``fit`` and the command line know."""
    return list(_METHODS)


def families() -> dict[str, list[str]]:
    """Names of all methods by what they have in common, the shallow ones last.

    Examples
    --------
    >>> families()["no source any more"]
    ['shot', 'nrc', 'tent', 'cotta']
    """
    deep = {family: list(names) for family, names in _FAMILIES.items()}
    return {**deep, "shallow, as scikit-learn estimators": list(_ESTIMATORS)}


def estimators() -> dict[str, type]:
    """Names and classes of the shallow methods, which are scikit-learn estimators."""
    return {name: _estimator(name) for name in _ESTIMATORS}


def _estimator(name: str) -> type:
    return getattr(importlib.import_module(f"dakit.methods.align.{name}"), _ESTIMATORS[name])


def _class(name: str) -> type[Method]:
    if name not in _METHODS:
        raise ValueError(f"unknown method {name!r}; choose one of {', '.join(_METHODS)}")
    part, _, cls = _METHODS[name].partition(".")
    return getattr(importlib.import_module(f"dakit.methods.{part}.{name}"), cls)


def describe(name: str) -> Description:
    """One-line summary, setting, assumption, when it fails, and paper of a method.

    Raises
    ------
    ValueError
        If neither :func:`names` nor :func:`estimators` has it.
    """
    if name not in _METHODS and name not in _ESTIMATORS:
        raise ValueError(f"unknown method {name!r}; choose one of {', '.join([*_METHODS, *_ESTIMATORS])}")
    cls = _estimator(name) if name in _ESTIMATORS else _class(name)
    text = inspect.cleandoc(sys.modules[cls.__module__].__doc__)
    paragraphs = [re.sub(r"\s+", " ", p) for p in text.split("\n\n")]

    def part(heading: str) -> str:
        return next((p.removeprefix(heading).strip() for p in paragraphs if p.startswith(heading)), "")

    return Description(name, paragraphs[0], *map(part, ("Setting:", "Assumes:", "Fails when:", "Paper:")))


def build(
    name: str,
    source: Domain | Mapping[str, Domain] | Sequence[Domain],
    *,
    backbone: str | dict | nn.Module = "auto",
    seed: int = 0,
    **hyperparameters,
) -> Method:
    """Make a method ready to be fitted.

    Backbone, head and further parts draw their weights in this order from a generator seeded with ``seed``: methods
    built with one seed start from the same backbone and head. The caller's random state is left alone.

    Parameters
    ----------
    name : str
        One of :func:`names`.
    source : Domain, DomainSet or sequence of Domain
        Gives the shape of the inputs and the classes; to methods with parts for each source also their number.
    backbone : str, dict or nn.Module
        A name for ``models.build``, where ``"auto"`` leaves the choice to the method; a dictionary with that ``"name"``
        and its keyword arguments, for example ``{"name": "lenet", "norm": "batch"}``; or a module that maps (b, ...) to
        (b, d) and has ``out_features = d``. A module is copied: several methods can start from the same weights.
    seed : int
    **hyperparameters
        Keyword arguments of the method's class.

    Raises
    ------
    ValueError
        If the name is unknown or the source has fewer than two classes.
    TypeError
        If the method has no such hyper-parameter.
    """
    from dakit import models

    cls = _class(name)
    sources = [source] if isinstance(source, Domain) else source
    source = pool(sources)
    if "num_sources" in _keywords(cls):
        hyperparameters = {"num_sources": len(sources), **hyperparameters}
    _check_hyperparameters(name, cls, hyperparameters)
    if source.num_classes < 2:
        raise ValueError(
            f"source domain {source.name!r} has {source.num_classes} classes; a classifier needs at least 2"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(backbone, str):
            backbone = cls.auto_backbone(source.shape) if backbone == "auto" else {"name": backbone}
        if isinstance(backbone, dict):
            backbone = models.build(**{"shape": source.shape, **backbone})
            if hasattr(backbone, "standardise_by"):
                backbone.standardise_by(source.x)
        else:
            if not hasattr(backbone, "out_features"):
                raise ValueError(
                    "a backbone needs the attribute out_features, the number of features it returns"
                )
            backbone = copy.deepcopy(backbone)
        return cls(backbone, source.num_classes, **hyperparameters)


def _keywords(cls: type[Method]) -> list[str]:
    parameters = inspect.signature(cls).parameters.values()
    return [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]


def _check_hyperparameters(name: str, cls: type[Method], given: dict) -> None:
    known = _keywords(cls)
    for key in given:
        if key not in known:
            raise TypeError(f"method {name!r} has no hyper-parameter {key!r}; it has {', '.join(known)}")


def spec(method: Method) -> dict:
    """Plain values from which :func:`from_spec` makes a method of the same form (not its weights)."""
    cls = type(method)
    name = cls.__module__.rpartition(".")[2]
    if name not in _METHODS or _class(name) is not cls:
        name = cls.__name__
    return {
        "name": name,
        "num_classes": method.num_classes,
        "hyperparameters": method.hyperparameters(),
        "backbone": getattr(method.backbone, "spec", None),
    }


def from_spec(values: dict) -> Method:
    """Make a method again from what :func:`spec` returned.

    Raises
    ------
    ValueError
        If the method or its backbone is not one of dakit's own.
    """
    from dakit import models

    if values["name"] not in _METHODS or values["backbone"] is None:
        raise ValueError(
            f"method {values['name']!r} or its backbone is not one of dakit's own and cannot be made again from its "
            "description; pass method=, built as it was before training"
        )
    backbone = dict(values["backbone"])
    with torch.random.fork_rng(devices=[]):
        module = models.build(backbone.pop("name"), tuple(backbone.pop("shape")), **backbone)
        return _class(values["name"])(module, values["num_classes"], **values["hyperparameters"])
