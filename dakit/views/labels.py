"""Words and numbers as people read them: metric names, rounding, and labels that stay text."""

from collections.abc import Mapping
from math import floor, isfinite, log10
from typing import Any

METRICS = {
    "mmd": "MMD²",
    "mmd_pvalue": "p",
    "a_distance": "A-distance",
    "icv_source": "ICV source",
    "icv_target": "ICV target",
    "idd": "IDD",
    "coral_distance": "CORAL distance",
    "frechet_distance": "Fréchet distance",
    "source_accuracy": "source accuracy",
    "target_accuracy": "target accuracy",
    "accuracy": "accuracy",
}
"""Names of the numbers that dakit's metrics give, in the words of the field."""

_PERCENT = ("accuracy",)


def metric_name(key: str) -> str:
    """The name to print for a column: the field's own, or the column's with spaces."""
    return METRICS.get(key, str(key).replace("_", " "))


def percent(share: float) -> str:
    """A share as a percentage; the no-break space keeps number and sign on one line.

    >>> percent(0.25)
    '25\\xa0%'
    """
    return f"{100 * share:.0f}\xa0%"


def number(value: float, key: str = "") -> str:
    """Three significant digits, a percentage for accuracies, "–" for what is missing.

    >>> number(0.012345), number(1234.5), number(0.8125, "target_accuracy")
    ('0.0123', '1,234', '81\\xa0%')
    """
    if value is None or not isfinite(value):
        return "–"
    if key.endswith(_PERCENT):
        return percent(value)
    if value == 0:
        return "0"
    if key.endswith("pvalue"):
        return f"{value:.2g}"
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace("-", "−")
    if abs(value) < 5e-4:
        digits, power = f"{value:.1e}".split("e")
        return f"{digits}e{int(power)}".replace("-", "−")
    return f"{value:.3g}".replace("-", "−")


def spread(values, key: str = "") -> str:
    """Mean and standard deviation of an array of values, the mean to the digits that the deviation allows.

    >>> import numpy as np
    >>> (
    ...     spread(np.array([0.21, 0.215, 0.2])),
    ...     spread(np.array([0.8, 0.84]), "target_accuracy"),
    ...     spread(np.array([2.0])),
    ... )
    ('0.208 ± 0.008', '82 ± 3\xa0%', '2')
    """
    if len(values) < 2:
        return number(values[0], key) if len(values) else "–"
    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    if not (isfinite(mean) and isfinite(deviation)):
        return number(mean, key)
    if key.endswith(_PERCENT):
        return f"{100 * mean:.0f} ± {100 * deviation:.0f}\xa0%"
    if deviation < 1e-6 * abs(mean) or deviation == 0:
        return f"{number(mean)} ± 0"
    digits = -floor(log10(deviation))
    if not 0 <= digits <= 4:
        return f"{number(mean)} ± {number(deviation)}"
    return f"{mean:.{digits}f} ± {deviation:.{digits}f}".replace("-", "−")


def numbers_line(numbers: Mapping[str, Any] | str | None) -> str:
    """Shift numbers in one line that breaks between them only, the p-value beside its statistic.

    >>> numbers_line({"mmd": 0.21, "mmd_pvalue": 0.005, "a_distance": 1.9, "idd": None}).replace("\xa0", " ")
    'MMD² 0.21 (p 0.005) · A-distance 1.9'
    """
    if numbers is None:
        return ""
    if isinstance(numbers, str):
        return numbers
    said = []
    for key, value in numbers.items():
        if value is None or (key.endswith("_pvalue") and key.removesuffix("_pvalue") in numbers):
            continue
        pvalue = numbers.get(f"{key}_pvalue")
        beside = f" (p {number(pvalue, 'pvalue')})" if pvalue is not None else ""
        said.append(f"{metric_name(key)} {number(value, key)}{beside}".replace(" ", "\xa0"))
    return " · ".join(said)


def plotly_text(text: object) -> str:
    """A label for plotly, which reads a small HTML of its own: tags and entities are made plain.

    >>> plotly_text("<b>cat</b> & dog")
    '&lt;b&gt;cat&lt;/b&gt; &amp; dog'
    """
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def enumerate_words(words, limit: int = 12) -> str:
    """A list as one reads it aloud; what goes beyond ``limit`` is counted.

    >>> enumerate_words(["cat", "dog", "fish"])
    'cat, dog and fish'
    """
    words = [str(w) for w in words]
    if len(words) > limit:
        return ", ".join(words[:limit]) + f" and {len(words) - limit} more"
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def counted(n: int, noun: str) -> str:
    """``counted(1, "step")`` is "1 step", ``counted(2000, "example")`` "2,000 examples"."""
    if n == 1:
        return f"1 {noun}"
    return f"{n:,} {noun}{'es' if noun.endswith('s') else 's'}"


def shortened(text: object, length: int = 24) -> str:
    """A long label cut for a legend, with an ellipsis; one line always."""
    line = " ".join(str(text).split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"
