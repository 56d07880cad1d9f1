"""Exercises of the chapter on what shifts: accuracy under other shares, scaling by domain, naming a shift."""

import numpy as np

from dakit.course.exercises import Exercise, Mistake


def accuracy_under(ys, predicted, shares):
    """Accuracy on a target with other class shares, from labelled source examples."""
    source_shares = np.bincount(ys, minlength=len(shares)) / len(ys)
    weights = (np.asarray(shares) / source_shares)[ys]
    return np.mean(weights * (predicted == ys))


def _shares_ignored(ys, predicted, shares):
    return np.mean(predicted == ys)


def _balanced(ys, predicted, shares):
    return np.mean([np.mean(predicted[ys == c] == c) for c in range(len(shares))])


def _upside_down(ys, predicted, shares):
    source_shares = np.bincount(ys, minlength=len(shares)) / len(ys)
    return np.mean((source_shares / np.asarray(shares))[ys] * (predicted == ys))


def _not_divided(ys, predicted, shares):
    return np.mean(np.asarray(shares)[ys] * (predicted == ys))


def _by_prediction(ys, predicted, shares):
    """Weights looked up by the predicted class; where it is right that is the true class: the sum differs."""
    source_shares = np.bincount(ys, minlength=len(shares)) / len(ys)
    weights = (np.asarray(shares) / source_shares)[predicted]
    return np.sum(weights * (predicted == ys)) / np.sum(weights)


def _judged(rng):
    """Labels of k classes, predictions of unequal recall, and target shares far from those of the source."""
    k = int(rng.integers(2, 5))
    ys = np.concatenate(
        [np.arange(k), rng.choice(k, int(rng.integers(60, 120)), p=rng.dirichlet(np.full(k, 5.0)))]
    )
    recall = rng.permutation(np.linspace(0.5, 0.95, k))
    wrong = (ys + rng.integers(1, k, len(ys))) % k
    predicted = np.where(rng.random(len(ys)) < recall[ys], ys, wrong)
    return ys, predicted, rng.dirichlet(np.full(k, 2.0))


def by_domain(x, domain):
    """Each column by the mean and the standard deviation of the rows of the same domain."""
    out = np.empty_like(x)
    for name in np.unique(domain):
        rows = domain == name
        out[rows] = (x[rows] - x[rows].mean(0)) / x[rows].std(0)
    return out


def _pooled(x, domain):
    return (x - x.mean(0)) / x.std(0)


def _first_for_all(x, domain):
    first = x[domain == np.unique(domain)[0]]
    return (x - first.mean(0)) / first.std(0)


def _each(x, domain, change):
    out = np.empty_like(x)
    for name in np.unique(domain):
        out[domain == name] = change(x[domain == name])
    return out


def _centred_only(x, domain):
    return _each(x, domain, lambda rows: rows - rows.mean(0))


def _by_variance(x, domain):
    return _each(x, domain, lambda rows: (rows - rows.mean(0)) / rows.var(0))


def _one_scale_for_all_columns(x, domain):
    return _each(x, domain, lambda rows: (rows - rows.mean()) / rows.std())


def _other_std(x, domain):
    return _each(x, domain, lambda rows: (rows - rows.mean(0)) / rows.std(0, ddof=1))


def _flocks(rng):
    """Two or three domains of unlike means and scales, their rows mixed."""
    names = np.arange(int(rng.integers(2, 4)))
    domain = rng.permutation(np.repeat(names, rng.integers(5, 12, len(names))))
    where = {n: (rng.normal(0, 5, 3), rng.uniform(0.5, 4, 3)) for n in names}
    x = np.array([rng.normal(*where[n]) for n in domain])
    return x, domain


def which_shift(xs, ys, xt, yt):
    """What happened between two labelled samples: "none", "covariate", "label" or "concept"."""
    from scipy.stats import chi2_contingency

    from dakit import metrics

    counts = [np.bincount(ys, minlength=2), np.bincount(yt, minlength=2)]
    if chi2_contingency(counts)[1] < 0.01:
        return "label"
    if metrics.concept_shift(xs, ys, xt, yt).pvalue < 0.01:
        return "concept"
    return "covariate" if metrics.mmd_test(xs, xt).pvalue < 0.01 else "none"


def _inputs_first(xs, ys, xt, yt):
    from dakit import metrics

    return "covariate" if metrics.mmd_test(xs, xt).pvalue < 0.01 else which_shift(xs, ys, xt, yt)


def _inputs_only(xs, ys, xt, yt):
    from dakit import metrics

    return "covariate" if metrics.mmd_test(xs, xt).pvalue < 0.01 else "none"


def _rule_forgotten(xs, ys, xt, yt):
    said = which_shift(xs, ys, xt, yt)
    return "none" if said == "concept" else said


def _looks_for_rule(xs, ys, xt, yt):
    """Takes any change of p(x | y) for a change of the rule."""
    said = which_shift(xs, ys, xt, yt)
    return "concept" if said == "covariate" else said


def shifted(kind, rng, n=150):
    """Two samples of two classes in the plane. The class moves the first coordinate and nothing else."""
    ys, yt = (rng.permutation(np.arange(n) % 2) for _ in range(2))
    if kind == "label":
        yt = (rng.random(n) < rng.choice([0.15, 0.85])).astype(int)
    xs, xt = (rng.normal(size=(n, 2)) + 1.2 * np.outer(2 * y - 1, [1, 0]) for y in (ys, yt))
    if kind == "covariate":
        xt[:, 1] += rng.choice([-1.2, 1.2])
    return xs, ys, xt, 1 - yt if kind == "concept" else yt


def _samples(rng):
    """Each kind at least once, in random order, so that no answer passes that misses one of them."""
    kinds = ["none", "covariate", "label", "concept"]
    return ([_clear(str(k), rng) for k in rng.permutation([*kinds, str(rng.choice(kinds))])],)


def _clear(kind, rng):
    """A shift that the tests name rightly: by chance they err once in a hundred draws."""
    for _ in range(20):
        drawn = shifted(kind, rng)
        if which_shift(*drawn) == kind:
            return drawn
    raise AssertionError(f"the tests do not recognise a {kind} shift")


def _name_all(answer, sets):
    return tuple(answer(*samples) for samples in sets)


EXERCISES = {
    "accuracy_under": Exercise(
        task="From source labels, predictions on them and the shares of the target, return the accuracy there.",
        answer=accuracy_under,
        fresh=_judged,
        mistakes=(
            Mistake(
                _shares_ignored,
                "This is the accuracy on the source: the shares of the target are not used yet.",
            ),
            Mistake(
                _balanced,
                "This is the mean of the recalls, as if all classes were equally common. Weigh them by `shares`.",
            ),
            Mistake(
                _upside_down,
                "Your weights are upside down: a class that is common in the target must count more, "
                "`target share / source share`.",
            ),
            Mistake(
                _not_divided,
                "You weigh by the target's shares, but common classes of the source are already counted more often: "
                "divide by the source's shares.",
            ),
            Mistake(
                _by_prediction,
                "You look the weights up by the predicted class. It is the true class whose share has moved: `[ys]`.",
            ),
        ),
        hints=(
            "Under label shift a class looks the same in both domains, so its recall is the same too.",
            "The accuracy is the sum over classes of share in the target times recall.",
            "As weights: `(shares / source_shares)[ys]`, and the mean of `weights * (predicted == ys)`.",
        ),
        well_done="Right. And where the shares are unknown, they can be estimated from predictions: that is BBSE.",
    ),
    "by_domain": Exercise(
        task="Standardise each column of x by the mean and standard deviation of the rows of the same domain.",
        answer=by_domain,
        fresh=_flocks,
        mistakes=(
            Mistake(
                _pooled,
                "You standardise all rows together. The domains keep their distance that way: take the mean and the "
                "standard deviation of one domain at a time.",
            ),
            Mistake(
                _first_for_all,
                "Every domain is scaled by the first one. That is what the rule of the Adelies did to the Gentoos.",
            ),
            Mistake(_centred_only, "The means are right. Divide by the standard deviation too."),
            Mistake(_by_variance, "You divide by the variance; divide by its root, `std`."),
            Mistake(
                _one_scale_for_all_columns,
                "You take one mean over all columns. Millimetres and grams do not mix: use `mean(0)` and `std(0)`.",
            ),
            Mistake(
                _other_std,
                "Right but for `ddof=1`. That is a matter of taste; here numpy's default, `ddof=0`, is meant.",
            ),
        ),
        hints=(
            "Go through `np.unique(domain)`, one domain at a time.",
            "`rows = domain == name` picks the rows; compute mean and standard deviation of `x[rows]` along axis 0.",
            "Write `(x[rows] - x[rows].mean(0)) / x[rows].std(0)` into the same rows of the result.",
        ),
        well_done="No label was used. What was used is that the shares of the classes are alike in all domains.",
    ),
    "which_shift": Exercise(
        task="From two labelled samples say what happened: none, covariate, label or concept.",
        answer=which_shift,
        fresh=_samples,
        ask=_name_all,
        trials=1,
        mistakes=(
            Mistake(
                _inputs_only,
                "You look at the inputs only. They move under label shift too, and never under concept shift.",
            ),
            Mistake(
                _inputs_first,
                "You ask the inputs first. A label shift moves them as well: ask for the shares before.",
            ),
            Mistake(
                _rule_forgotten,
                "You miss the concept shift: inputs and shares are the same, the rule is not.",
            ),
            Mistake(
                _looks_for_rule,
                "You call a covariate shift a concept shift. Classes look different in both; ask "
                "`metrics.concept_shift`, which compares the rule where both domains live.",
            ),
        ),
        hints=(
            "Look at the table of detectors: which of them speak up for one shift only?",
            "Shares first: a small p of `chi2_contingency` of the class counts means label shift.",
            "Then `metrics.concept_shift(...).pvalue`. What is left for `metrics.mmd_test` is covariate or none.",
        ),
        well_done="It works as only one thing happened. Penguins would have answered to more than one.",
    ),
}
