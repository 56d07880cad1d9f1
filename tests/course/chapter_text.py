"""A small complete chapter for the tests of build, run, listing and anatomy."""

CHAPTER = '''# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A tiny chapter
#
# > You can double a number and say why.
#
# <!-- badges -->
#
# | | |
# | --- | --- |
# | **Time** | 1 minute |
# | Memory | 0.2 GB |
# | Needs | nothing |
# | Data | none |

# %%
from dakit import course

profile = course.setup(seed=0)

# %%
course.predict("tiny", "What is twice 3?", between=(0, 10))

# %%
def double(x):
    """Twice x."""
    # solution: double x
    return 2 * x
    # end solution

# %%
six = 2 * 3
course.reveal("tiny", six)

# %% tags=["solution"]
assert double(3) == six

# %% [markdown]
# ## References
#
# A paper, arXiv:1505.07818.
'''


def write(root, text=CHAPTER, name="1_part/01_tiny"):
    """Put a chapter into a checkout below ``root``."""
    path = root / "notebooks" / "source" / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
