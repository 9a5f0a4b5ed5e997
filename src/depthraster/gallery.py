"""The page that shows an export: a thumbnail of each depth image in colour, and `write_gallery`, one HTML file with all.

The page needs no network and no other file: it is written from the manifest and the thumbnails' files. What is in the
manifest is ``survey.py``'s. The commonest change is what stands below an image: in `_figure`.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from depthraster.drawing import colour_table
from depthraster.io.files import written_whole

__all__ = ["thumbnail", "write_gallery"]

_WIDTH = 320  # of a thumbnail, pixels
_SHARE = (0.01, 0.99)  # of the depths seen, at the ends of the colour scale
_EMPTY = (33, 37, 46)  # where no face is seen
_SHADES = 256  # of the colours in a picture
_STOPS = 16  # of the colour scale on the page
_KINDS = {"z": "depth", "range": "range"}  # what a record says, in words


def thumbnail(
    depth: npt.NDArray[np.float32], seen: npt.NDArray[np.bool_]
) -> tuple[bytes, tuple[float, float] | None]:
    """Return a small picture of a depth image in colours of evenly changing lightness, near light, far dark.

    Parameters
    ----------
    depth : (H, W) float32 array
        Any unit.
    seen : (H, W) bool array
        Where there is a depth.

    Returns
    -------
    picture : bytes
        WebP, 320 pixels wide or as wide as the image.
    limits : (float, float) or None
        The depths at the near and the far end of the colours, which change with the logarithm between them (evenly where
        there are depths of 0 and less); what is nearer or farther has the colours of the ends. None where nothing is seen.
    """
    import imagecodecs

    width = min(_WIDTH, depth.shape[1])
    height = max(1, min(round(depth.shape[0] * width / depth.shape[1]), 8 * _WIDTH))
    # Four pixels for one of the picture: depths are never averaged, only the colours made of them are.
    rows, cols = (
        ((np.arange(2 * m) + 0.5) * (n / (2 * m))).astype(np.intp)
        for n, m in zip(depth.shape, (height, width), strict=True)
    )
    places = np.ix_(rows, cols)
    mask = seen[places]
    shades = np.full(
        mask.shape, _SHADES, np.intp
    )  # in the table of colours: the last is where nothing is seen
    limits = None
    if mask.any():
        shown = depth[places][mask].astype(np.float64)
        near, far = (float(x) for x in np.quantile(shown, _SHARE))
        limits = near, far
        low, high = near, far
        if near > 0:
            low, high, shown = np.log(near), np.log(far), np.log(np.maximum(shown, near))
        t = (high - shown) / (high - low) if high > low else np.full(len(shown), 0.5)
        shades[mask] = np.clip(t, 0, 1) * (_SHADES - 1) + 0.5
    table = np.array([*np.rint(colour_table(_SHADES) * 255), _EMPTY], np.uint16)
    rgb = table.take(shades, axis=0)
    rgb = rgb[::2] + rgb[1::2]
    rgb = rgb[:, ::2] + rgb[:, 1::2] + np.uint16(2)
    picture = (rgb // 4).astype(np.uint8)
    return bytes(imagecodecs.webp_encode(picture, level=80, lossless=False, method=2)), limits


def write_gallery(path: Path, folder: Path, content: dict[str, Any]) -> None:
    """Write the page of an export.

    Parameters
    ----------
    path : Path
        The page.
    folder : Path
        Where the export's files are; the page links to them relative to itself.
    content : dict
        What the manifest says.
    """
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(_page(folder, content))  # a piece at a time: thousands of thumbnails are in it


def _page(folder: Path, content: dict[str, Any]) -> Iterator[str]:
    images, settings = content["images"], content["settings"]
    title = f"Depth of {content['chunk']['label']}" if content["chunk"]["label"] else "Depth"
    unit = "chunk units" if settings["unit"] == "chunk" else "world units"
    facts = [
        f"{len(images)} image{'s' if len(images) != 1 else ''}",
        f"{content['mesh']['n_faces']:,} faces",
        f"{' and '.join(dict.fromkeys(_KINDS[record['kind']] for record in images)) or 'depth'} in {unit}",
        f"layers: {', '.join(settings['layers'])}",
        settings["format"],
        f"depthraster {content['version']}",
    ]
    colours = ", ".join(
        f"rgb({r},{g},{b})" for r, g, b in np.rint(colour_table(_STOPS)[::-1] * 255).astype(int)
    )
    yield _HEAD.format(title=html.escape(title), style=_STYLE.replace("COLOURS", colours))
    yield f"<header>\n<h1>{html.escape(title)}</h1>\n<p>{' · '.join(map(html.escape, facts))}</p>\n"
    yield (
        '<p class="tools"><input id="search" type="search" placeholder="Search by label" aria-label="Search by label" '
        'autocomplete="off"> <output id="count" for="search"></output>'
        '<span class="legend">near <i class="bar"></i> far, each image with colours of its own</span></p>\n</header>\n'
    )
    yield "<main>\n"
    for record in images:
        yield _figure(folder, record)
    yield "</main>\n"
    for what in ("failed", "skipped"):
        if content.get(what):
            n = len(content[what])
            yield f"<details><summary>{n} camera{'s' if n != 1 else ''} {what}</summary>\n<ul>\n"
            for item in content[what]:
                yield f"<li><bdi>{html.escape(item['label'])}</bdi>: {html.escape(item['reason'])}</li>\n"
            yield "</ul></details>\n"
    yield f"<script>{_SCRIPT}</script>\n</body>\n</html>\n"


def _figure(folder: Path, record: dict[str, Any]) -> str:
    label = html.escape(record["label"])
    files = {file["layer"]: file["path"] for file in record["files"]}
    picture = base64.b64encode((folder / files.pop("thumbnail")).read_bytes()).decode()
    links = " ".join(f'<a href="{html.escape(quote(path))}">{what}</a>' for what, path in files.items())
    width = min(_WIDTH, record["width"])
    height = max(1, round(record["height"] * width / record["width"]))
    if record["colours"] is None:
        scale, extent = '<p class="scale">nothing seen</p>', ""
    else:
        near, far = record["colours"]
        scale = f'<p class="scale">{near:.4g} <i class="bar"></i> {far:.4g}</p>'
        extent = f"<p>{_KINDS[record['kind']]} {record['min']:.6g} to {record['max']:.6g}</p>\n"
    return (
        f'<figure data-label="{label}"><img loading="lazy" decoding="async" width="{width}" height="{height}" '
        f'alt="Depth of {label}" src="data:image/webp;base64,{picture}">\n<figcaption><b><bdi>{label}</bdi></b>\n{scale}\n'
        f"{extent}<p>{100 * record['coverage']:.1f} % covered</p>\n"
        f"<p>{record['width']} × {record['height']} · {links}</p></figcaption></figure>\n"
    )


# The policy keeps the page from asking any network for anything, whatever a label says.
_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
"""

_STYLE = """
:root { color-scheme: light dark; --ground: light-dark(#f6f6f4, #15171c); --card: light-dark(#fff, #1e2129);
  --text: light-dark(#1c1e22, #e4e6ea); --faint: light-dark(#5b606b, #9aa1ae); --line: light-dark(#dcdcd8, #2e323c); }
* { box-sizing: border-box; }
body { margin: 0; padding: 0 2rem 3rem; background: var(--ground); color: var(--text);
  font: 15px/1.45 system-ui, sans-serif; }
header { position: sticky; top: 0; z-index: 1; padding: 1rem 0 .75rem; background: var(--ground);
  border-bottom: 1px solid var(--line); }
h1 { margin: 0; font-size: 1.35rem; overflow-wrap: anywhere; }
p { margin: .15rem 0; color: var(--faint); }
.tools { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; margin-top: .6rem; }
.legend { margin-left: auto; }
input { font: inherit; width: 20rem; max-width: 100%; padding: .3rem .6rem; color: inherit; background: var(--card);
  border: 1px solid var(--line); border-radius: .4rem; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); gap: 1.25rem; margin: 1.25rem 0; }
figure { margin: 0; overflow: hidden; background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  content-visibility: auto; contain-intrinsic-size: auto 18rem; }
figure[hidden] { display: none; }
img { display: block; width: 100%; height: auto; background: #212530; }
figcaption { padding: .6rem .8rem .7rem; font-size: .87rem; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.bar { display: inline-block; width: 7rem; height: .55rem; border-radius: .2rem;
  background: linear-gradient(to right, COLOURS); }
.scale { display: flex; gap: .5rem; align-items: center; } .scale .bar { flex: 1; width: auto; }
a { color: inherit; } details { color: var(--faint); }
"""

_SCRIPT = """
const search = document.getElementById("search"), count = document.getElementById("count");
const figures = [...document.querySelectorAll("figure")];
function show() {
  const wanted = search.value.trim().toLowerCase();
  let n = 0;
  for (const figure of figures) {
    figure.hidden = !figure.dataset.label.toLowerCase().includes(wanted);
    n += !figure.hidden;
  }
  count.textContent = wanted ? `${n} of ${figures.length}` : "";
}
function fromAddress() {
  try { search.value = decodeURIComponent(location.hash.slice(1)); } catch { search.value = ""; }
  show();
}
search.addEventListener("input", () => { history.replaceState(null, "", "#" + encodeURIComponent(search.value)); show(); });
addEventListener("hashchange", fromAddress);
fromAddress();
"""
