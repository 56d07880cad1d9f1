"""Pull the features of both domains together."""

from dakit.methods.align.adda import ADDA
from dakit.methods.align.afn import AFN
from dakit.methods.align.bsp import BSP
from dakit.methods.align.cdan import CDAN
from dakit.methods.align.cmd import CMD
from dakit.methods.align.dan import DAN
from dakit.methods.align.dann import DANN
from dakit.methods.align.deep_coral import DeepCORAL
from dakit.methods.align.jan import JAN
from dakit.methods.align.mcc import MCC
from dakit.methods.align.mcd import MCD
from dakit.methods.align.oracle import Oracle
from dakit.methods.align.source_only import SourceOnly

__all__ = [
    "ADDA",
    "AFN",
    "BSP",
    "CDAN",
    "CMD",
    "DAN",
    "DANN",
    "JAN",
    "MCC",
    "MCD",
    "DeepCORAL",
    "Oracle",
    "SourceOnly",
]
