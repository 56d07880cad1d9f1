"""Exercises of the chapter on monitoring: CUSUM by hand, a threshold from simulated runs, the delay of an alarm."""

import math

import numpy as np

from dakit.course.exercises import Exercise, Mistake


def cusum(z, allowance):
    """Statistic after each standardised value: S_t = max(0, S_{t-1} + z_t - allowance), from S_0 = 0."""
    found, total = np.empty(len(z)), 0.0
    for t, value in enumerate(z):
        total = max(0.0, total + value - allowance)
        found[t] = total
    return found


def _never_back_to_zero(z, allowance):
    return np.cumsum(np.asarray(z) - allowance)


def _cut_at_the_end(z, allowance):
    return np.maximum(0.0, np.cumsum(np.asarray(z) - allowance))


def _no_memory(z, allowance):
    return np.maximum(0.0, np.asarray(z) - allowance)


def _no_allowance(z, allowance):
    return cusum(z, 0.0)


def _both_directions(z, allowance):
    return cusum(np.abs(z), allowance)


def _series(rng):
    """Values that fall below 0 first and rise later, so that cutting late and cutting early differ."""
    z = rng.normal(size=int(rng.integers(15, 30)))
    z[:4] -= 1.0
    z[len(z) // 2 :] += 1.0
    return np.round(z, 2), float(rng.choice([0.25, 0.5, 0.75]))


def threshold(runs, false_alarm):
    """Threshold that a further run exceeds, anywhere in it, with a probability of at most false_alarm."""
    highest = np.sort(np.max(runs, axis=1))
    rank = math.ceil((1 - false_alarm) * (len(highest) + 1))
    return highest[rank - 1]


def _per_window(runs, false_alarm):
    return threshold(np.reshape(runs, (-1, 1)), false_alarm)


def _last_window(runs, false_alarm):
    return threshold(np.asarray(runs)[:, -1:], false_alarm)


def _wrong_tail(runs, false_alarm):
    return threshold(runs, 1 - false_alarm)


def _across_runs(runs, false_alarm):
    return threshold(np.transpose(runs), false_alarm)


def _half(runs, false_alarm):
    return threshold(runs, false_alarm / 2)


def _runs(rng):
    """Statistics of 199 charts without drift over a horizon, and a probability."""
    horizon = int(rng.integers(20, 60))
    z = rng.normal(size=(199, horizon))
    found = np.array([cusum(row, 0.5) for row in z])
    return found, float(rng.choice([0.05, 0.1, 0.2]))


def _exceeding(answer, runs, false_alarm):
    """How many of the runs exceed the threshold: different rules for a quantile then count as the same."""
    level = np.asarray(answer(runs, false_alarm), dtype=float)
    if level.shape != ():
        raise ValueError(f"one number is asked for, got an array of shape {level.shape}")
    # To the nearest 1 % of the runs: what numpy's quantile interpolates is as good.
    return round(float(np.mean(np.max(runs, axis=1) > level)), 2)


def delay(times, statistic, level, change):
    """Rows from the change to the first alarm; None if there is none, or if the first alarm came before the change."""
    alarms = np.asarray(times)[np.asarray(statistic) > level]
    if len(alarms) == 0 or alarms[0] <= change:
        return None
    return int(alarms[0] - change)


def _forgives_false_alarms(times, statistic, level, change):
    late = [t for t, s in zip(times, statistic) if s > level and t > change]
    return int(late[0] - change) if late else None


def _from_the_start(times, statistic, level, change):
    found = delay(times, statistic, level, change)
    return None if found is None else found + change


def _highest(times, statistic, level, change):
    at = times[int(np.argmax(statistic))]
    return int(at - change) if np.max(statistic) > level and at > change else None


def _in_windows(times, statistic, level, change):
    found = delay(times, statistic, level, change)
    return None if found is None else round(found / (times[1] - times[0]))


def _negative(times, statistic, level, change):
    alarms = np.asarray(times)[np.asarray(statistic) > level]
    return int(alarms[0] - change) if len(alarms) else None


def _streams(rng):
    """A run with an alarm before the change, one without any, and one with a delay, in turn at random."""
    window = int(rng.integers(10, 40))
    times = window * np.arange(1, 25)
    change = int(window * 12 - rng.integers(0, window))
    statistic = rng.uniform(0, 3, size=24)
    case = rng.integers(4)
    if case == 0:
        statistic[3] = 6.0
    if case != 1:
        statistic[15:] = 6.0 + rng.permutation(9)
    return times, statistic, 5.0, change


def _four_streams(rng):
    """All cases in each trial, so that no answer passes by luck."""
    kinds = {}
    while len(kinds) < 3:
        drawn = _streams(rng)
        found = delay(*drawn)
        early = bool((drawn[1][:10] > drawn[2]).any())
        kinds["early" if early else "none" if found is None else "late"] = drawn
    return (tuple(kinds[k] for k in ("early", "none", "late")),)


def _each(answer, cases):
    return tuple(answer(*case) for case in cases)


EXERCISES = {
    "cusum": Exercise(
        task="From standardised values z and an allowance, return the CUSUM after each value.",
        answer=cusum,
        fresh=_series,
        mistakes=(
            Mistake(
                _never_back_to_zero,
                "Your sum can fall below 0: a long quiet time would then hide a later rise. Cut at 0 in every step.",
            ),
            Mistake(
                _cut_at_the_end,
                "You cut at 0 after summing everything. The cut belongs inside the loop: the next step starts from it.",
            ),
            Mistake(
                _no_memory,
                "Each of your values knows only its own window. Add the statistic of the window before.",
            ),
            Mistake(_no_allowance, "The allowance is missing: without it chance alone adds up to an alarm."),
            Mistake(
                _both_directions,
                "You add |z|. Values below 0 speak against drift here, and must lower the sum.",
            ),
        ),
        hints=(
            "Keep one number, `total`, that starts at 0.",
            "In each step add the value, take the allowance away, and cut at 0: `max(0.0, ...)`.",
            "`total = max(0.0, total + value - allowance)`, and store it before the next step.",
        ),
        well_done="One number of memory and one line of code, since 1954.",
    ),
    "threshold": Exercise(
        task="From statistics without drift, runs of shape (runs, horizon), return the threshold for a false-alarm "
        "probability over the whole horizon.",
        answer=threshold,
        fresh=_runs,
        ask=_exceeding,
        atol=0.0051,
        rtol=0.0,
        mistakes=(
            Mistake(
                _per_window,
                "That is the probability for one window. A run has many windows, and one above the threshold is an "
                "alarm: take the highest value of each run first.",
            ),
            Mistake(
                _last_window,
                "You look at the last window only. An alarm may come in any window: take the highest of each run.",
            ),
            Mistake(_wrong_tail, "Nearly every run exceeds this. You took the lower tail."),
            Mistake(
                _across_runs,
                "You took the highest over the runs, window by window. The rows are the runs: `axis=1`.",
            ),
            Mistake(
                _half,
                "You halved the probability, as for a test in two directions. The chart only looks upwards.",
            ),
        ),
        hints=(
            "When does a run without drift give a false alarm? When its highest value exceeds the threshold.",
            "`np.max(runs, axis=1)` is the highest value of each run.",
            "The threshold is the quantile 1 - false_alarm of those: `np.quantile(highest, 1 - false_alarm)`.",
        ),
        well_done="No formula for the distribution of a CUSUM was needed: simulate, sort, read off.",
    ),
    "delay": Exercise(
        task="From a run (times, statistic), the threshold (level) and the row of the change, return the delay in "
        "rows, or None.",
        answer=delay,
        fresh=_four_streams,
        ask=_each,
        mistakes=(
            Mistake(
                _forgives_false_alarms,
                "You skip alarms before the change. A monitor that had rung already earns no delay: return None.",
            ),
            Mistake(
                _negative,
                "One of your delays is negative: that alarm came before the change, so it was false. Return None.",
            ),
            Mistake(_from_the_start, "You count from the start of the stream. Count from the change."),
            Mistake(
                _highest,
                "You take the highest value. The alarm is the *first* value above the threshold.",
            ),
            Mistake(_in_windows, "You count windows. The delay is asked for in rows."),
        ),
        hints=(
            "`times[statistic > level]` are the alarms in order of time.",
            "Three cases: no alarm; the first alarm at or before the change; the first alarm after it.",
            "Only the last case has a delay: `alarms[0] - change`. The others return None.",
        ),
        well_done="A table of delays without the number of false and missing alarms beside it says nothing.",
    ),
}
