"""What a domain looks like in a notebook: shape, classes, counts, and thumbnails where there are images.

Names come from files and folders that anybody may have written, so all text is escaped. Pictures are embedded, one
strip a class, enlarged without smoothing so that 16 pixels can be seen.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
import torch
from torch import Tensor

from dakit.domains.domain import Domain, DomainSet

MOST_CLASSES, MOST_EXAMPLES = 10, 8
THUMBNAIL = 48  # least height in pixels on the page
GAP = 2
STYLE = (
    "<style>.dakit-domain{margin:8px 0;font-size:13px;line-height:1.35}"
    ".dakit-domain table{border-collapse:collapse;margin:6px 0;font-size:inherit;color:inherit}"
    ".dakit-domain td,.dakit-domain th{padding:2px 8px;text-align:left;color:inherit;background:none;border:0}"
    ".dakit-domain td.n{text-align:right;font-variant-numeric:tabular-nums}"
    ".dakit-domain img{display:block;image-rendering:pixelated;max-width:none}"
    ".dakit-domain .muted{opacity:.7;font-weight:normal}</style>"
)


def domain_html(domain: Domain) -> str:
    """HTML of one domain: a line of facts, then a row a class with its count and, for images, examples.

    Parameters
    ----------
    domain : Domain

    Returns
    -------
    str
        Self-contained; names are escaped, pictures are embedded and have alt text.

    Examples
    --------
    >>> d = Domain("<i>", torch.zeros(1, 2), torch.tensor([0]), ("yes",))
    >>> "&lt;i&gt;" in domain_html(d), "<i>" in domain_html(d)
    (True, False)
    """
    rows = [
        _row(label, count, _strip(domain, at, f"{domain.name}: {label}") if domain.kind == "image" else "")
        for label, count, at in _groups(domain)
    ]
    hidden = domain.num_classes - MOST_CLASSES if domain.labeled else 0
    if hidden > 0:
        rows.append(f'<tr><td class="muted" colspan="3">and {hidden} more classes</td></tr>')
    return f'{STYLE}<div class="dakit-domain">{_facts(domain)}<table>{"".join(rows)}</table></div>'


def set_html(domains: DomainSet) -> str:
    """HTML of a set of domains: a row a domain, a column a class, with counts and one example of each for images.

    Parameters
    ----------
    domains : DomainSet

    Returns
    -------
    str
        Self-contained; names are escaped, pictures are embedded and have alt text.
    """
    shown = domains.classes[:MOST_CLASSES]
    more = len(domains.classes) - len(shown)
    head = "".join(f'<th scope="col">{escape(c)}</th>' for c in shown)
    head += f'<th scope="col" class="muted">and {more} more</th>' if more > 0 else ""
    rows = []
    for d in domains.values():
        groups = {label: (count, at) for label, count, at in _groups(d)}
        cells = [_cell(d, label, *groups.get(label, (0, []))) for label in shown]
        if not d.labeled:
            cells = [f'<td colspan="{max(1, len(shown))}" class="muted">no labels</td>']
        about = f'<span class="muted">{len(d):,} examples, {d.kind} {d.shape}</span>'
        rows.append(f'<tr><th scope="row">{escape(d.name)}<br>{about}</th>{"".join(cells)}</tr>')
    card = f"<details><summary>About these data</summary><pre>{escape(domains.card)}</pre></details>"
    return (
        f'{STYLE}<div class="dakit-domain"><b>{escape(domains.name)}</b>, {len(domains)} domains, '
        f"{len(domains.classes)} classes<table><tr><td></td>{head}</tr>{''.join(rows)}</table>"
        f"{card if domains.card else ''}</div>"
    )


def _facts(domain: Domain) -> str:
    labels = f"{domain.num_classes} classes" if domain.labeled else "no labels"
    columns = f", facts: {escape(', '.join(domain.meta))}" if domain.meta else ""
    return (
        f"<b>{escape(domain.name)}</b>, {len(domain):,} examples, {domain.kind} {domain.shape}, "
        f'{labels}<span class="muted">{columns}</span>'
    )


def _groups(domain: Domain) -> list[tuple[str, int, list[int]]]:
    """Name, count and a few evenly spaced rows of each class that is shown."""
    if domain.y is None:
        return [("no labels", len(domain), _few(torch.arange(len(domain))))]
    groups = []
    for c, label in enumerate(domain.classes[:MOST_CLASSES]):
        rows = torch.nonzero(domain.y == c).flatten()
        groups.append((label, len(rows), _few(rows)))
    return groups


def _few(rows: Tensor) -> list[int]:
    at = np.linspace(0, len(rows) - 1, min(len(rows), MOST_EXAMPLES)).round().astype(int)
    return rows[torch.from_numpy(at).to(rows.device)].tolist() if len(rows) else []


def _row(label: str, count: int, picture: str) -> str:
    cell = f"<td>{picture}</td>" if picture else ""
    return f'<tr><td>{escape(label)}</td><td class="n">{count:,}</td>{cell}</tr>'


def _cell(domain: Domain, label: str, count: int, rows: Sequence[int]) -> str:
    picture = ""
    if domain.kind == "image" and rows:
        picture = _strip(domain, rows[:1], f"{domain.name}: {label}", many=False)
    return f"<td>{picture}{count:,}</td>"


def _strip(domain: Domain, rows: Sequence[int], what: str, *, many: bool = True) -> str:
    """Examples side by side as one embedded PNG."""
    if not rows:
        return '<span class="muted">none</span>'
    from PIL import Image

    pixels = _pixels(domain.x[torch.as_tensor(rows, device=domain.x.device)])
    scale = max(1, -(-THUMBNAIL // pixels.shape[1]))
    pixels = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
    step = max(1, pixels.shape[1] // (2 * THUMBNAIL))  # large pictures are thinned
    pixels = pixels[:, ::step, ::step]
    strip = np.zeros((pixels.shape[1], len(pixels) * (pixels.shape[2] + GAP) - GAP, 4), dtype=np.uint8)
    for i, picture in enumerate(pixels):
        left = i * (pixels.shape[2] + GAP)
        strip[:, left : left + pixels.shape[2], :3] = picture
        strip[:, left : left + pixels.shape[2], 3] = 255  # gaps stay transparent, on light and dark pages
    file = io.BytesIO()
    Image.fromarray(strip).save(file, format="png", optimize=True)
    code = base64.b64encode(file.getvalue()).decode("ascii")
    alt = f"{len(rows)} examples of {what}" if many else f"an example of {what}"
    return (
        f'<img src="data:image/png;base64,{code}" alt="{escape(alt)}" '
        f'width="{strip.shape[1]}" height="{strip.shape[0]}">'
    )


def _pixels(x: Tensor) -> np.ndarray:
    """(n, c, h, w) to (n, h, w, 3) bytes; values outside [0, 1] are stretched to what the eye can see."""
    x = x.detach().to("cpu", torch.float32)
    x = x[:, :3] if x.shape[1] >= 3 else x[:, :1].expand(-1, 3, -1, -1)
    low, high = float(x.min()), float(x.max())
    if low < 0 or high > 1:
        x = (x - low) / max(high - low, 1e-12)
    return (x * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
