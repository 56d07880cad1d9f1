"""Published values of the class and style measures of Luo et al. (2024), for comparison."""

from __future__ import annotations

from dataclasses import dataclass

# Read off figure 1 of arXiv 2405.15961 pixel by pixel: the paper prints no table of these numbers.
ICV_ERROR = 0.0003
IDD_ERROR = 0.004

# domain, benchmark, icv, idd, whether the figure names the dot
_FIGURE_1 = (
    ("ImageNet1K", "ImageNet", 0.0169, 0.0, True),
    ("NES", "SuperMarioDomains", 0.0006, 0.218, True),
    ("SNES", "SuperMarioDomains", 0.0085, 0.074, True),
    ("N64", "SuperMarioDomains", 0.0042, 0.038, True),
    ("Wii", "SuperMarioDomains", 0.0025, 0.041, True),
    ("Sketch", "PACS", 0.0002, 0.517, True),
    ("Photo", "PACS", 0.0165, 0.014, True),
    ("Cartoon", "PACS", 0.0204, 0.192, False),
    ("Art", "PACS", 0.0192, 0.018, False),
    ("RealWorld", "OfficeHome", 0.0169, 0.024, True),
    ("ClipArt", "OfficeHome", 0.0297, 0.185, True),
    ("Product", "OfficeHome", 0.0124, 0.236, False),
    ("Art", "OfficeHome", 0.0149, 0.060, False),
    ("QuickDraw", "DomainNet", 0.0002, 0.573, True),
    ("ClipArt", "DomainNet", 0.0296, 0.197, True),
    ("other 1", "DomainNet", 0.0368, 0.189, False),
    ("other 2", "DomainNet", 0.0383, 0.109, False),
    ("other 3", "DomainNet", 0.0154, 0.090, False),
    ("other 4", "DomainNet", 0.0107, 0.026, False),
    ("other 1", "VLCS", 0.0129, 0.012, False),
    ("other 2", "VLCS", 0.0159, 0.013, False),
    ("other 3", "VLCS", 0.0186, 0.013, False),
    ("other 4", "VLCS", 0.0214, 0.009, False),
    ("other 1", "TerraIncognita", 0.0217, 0.054, False),
    ("other 2", "TerraIncognita", 0.0236, 0.014, False),
    ("other 3", "TerraIncognita", 0.0294, 0.010, False),
    ("other 4", "TerraIncognita", 0.0340, 0.034, False),
)


@dataclass(frozen=True)
class PublishedShift:
    """One dot of the published figure.

    Attributes
    ----------
    domain : str
        Name of the domain; ``"other 1"`` and so on where it could not be told which domain of the benchmark it is.
    benchmark : str
    icv : float
        Intra-class variation, read with an error of about ±0.0003.
    idd : float
        Inter-domain dissimilarity against ImageNet1K, in nats, read with an error of about ±0.004.
    certain : bool
        Whether the figure names the dot. Where False, the benchmark is given by its marker and the name is a guess.
    icv_error, idd_error : float
        Half-widths of the reading error.
    """

    domain: str
    benchmark: str
    icv: float
    idd: float
    certain: bool
    icv_error: float = ICV_ERROR
    idd_error: float = IDD_ERROR


def published_icv_idd() -> list[PublishedShift]:
    """Published intra-class variation and inter-domain dissimilarity of 27 domains.

    Read off figure 1 of the paper by pixel, for there is no table of them. The measures themselves are known in outline
    only, see :func:`~dakit.metrics.icv` and :func:`~dakit.metrics.idd`: compare orders and ratios, not digits.
    ``pandas.DataFrame(published_icv_idd())`` is the same as a table.

    Returns
    -------
    list of PublishedShift
        ``icv`` in [0, 0.04], ``idd`` in [0, 0.58]; 11 of the 27 have a certain name.

    References
    ----------
    Luo et al. (2024). Grounding stylistic domain generalization with quantitative domain shift measures and
    synthetic scene images. CVPR workshop on vision dataset understanding; arXiv 2405.15961, figure 1.

    Examples
    --------
    >>> max(published_icv_idd(), key=lambda row: row.idd).domain
    'QuickDraw'
    """
    return [PublishedShift(*row) for row in _FIGURE_1]
