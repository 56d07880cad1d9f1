"""What chapters need: profiles, predictions, exercises and their checks, and the build of the notebooks.

A chapter begins with ``profile = course.setup(seed=0)`` and ends with ``course.provenance()``. In between a
reader commits to guesses (:func:`predict`, :func:`reveal`), reads the library's own code (:func:`source`) and
solves exercises (:func:`check`, :func:`hint`, :func:`solution`).
"""

# These imports cost little: torch, jupytext, nbclient and ipywidgets are imported by the functions that need them.
from dakit.course.anatomy import lint_chapter
from dakit.course.build import Built, build_chapters
from dakit.course.exercises import CheckFailed, Exercise, Feedback, Mistake, check, hint, solution
from dakit.course.listing import Chapter, list_chapters
from dakit.course.predict import Prediction, predict, reveal
from dakit.course.profile import Profile, current_profile, setup
from dakit.course.provenance import provenance
from dakit.course.run import ChapterError, ChapterRun, run_chapters, run_notebook
from dakit.course.source import source

__all__ = [
    "Built",
    "Chapter",
    "ChapterError",
    "ChapterRun",
    "CheckFailed",
    "Exercise",
    "Feedback",
    "Mistake",
    "Prediction",
    "Profile",
    "build_chapters",
    "check",
    "current_profile",
    "hint",
    "lint_chapter",
    "list_chapters",
    "predict",
    "provenance",
    "reveal",
    "run_chapters",
    "run_notebook",
    "setup",
    "solution",
    "source",
]
