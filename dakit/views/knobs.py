"""``views.knobs``: sliders and a picture that follows them."""

from collections.abc import Callable
from typing import Any


def knobs(draw: Callable[..., Any], /, **ranges: Any):
    """Sliders for the arguments of ``draw``, and the picture it makes for their values.

    Parameters
    ----------
    draw : callable
        ``draw(**values)`` gives a View, a matplotlib figure, a PIL image, or text.
    **ranges
        For each argument of ``draw``: ``(low, high)`` or ``(low, high, step)`` for a slider, whole numbers for one
        that steps through whole numbers; a list of choices; True or False for a check box. The slider starts
        at the argument's default where ``draw`` has one, else at ``low`` or the first choice.

    Returns
    -------
    Knobs
        A widget. ``.sliders["name"].value`` reads and moves a slider, ``.values`` is all of them, ``.png()`` the
        picture. An error in ``draw`` is shown as a sentence below the picture, which stays as it was.

    Raises
    ------
    ValueError
        If there are no ranges, or one is not of these forms.

    Examples
    --------
    >>> moved = knobs(lambda severity: f"severity {severity:.1f}", severity=(0, 1, 0.1))
    >>> moved.sliders["severity"].value = 0.5
    >>> "severity 0.5" in moved.picture.value
    True
    """
    from dakit.views.knobs_widget import Knobs

    return Knobs(draw, ranges)
