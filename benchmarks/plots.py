"""The plots of docs/benchmarks.md, from what ``compare.py --json`` kept: time over faces, time over pixels, a survey.

``python benchmarks/plots.py results.json folder`` writes SVGs there. The commonest change is another panel: a function
that draws into axes.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import compare
import harness
import peers

# Colours that people tell apart however they see them (Okabe and Ito), and markers; ours first.
STYLES = {
    "depthraster": ("#000000", "o", 2.4),
    "open3d": ("#0072B2", "s", 1.2),
    "embreex": ("#56B4E9", "v", 1.2),
    "trimesh": ("#CC79A7", "^", 1.2),
    "llvmpipe": ("#D55E00", "D", 1.2),
    "llvmpipe-colour": ("#E69F00", "P", 1.2),
    "llvmpipe-lens": ("#A6761D", "X", 1.2),
    "vtk": ("#009E73", "*", 1.2),
}


def lines(axes: Any, cases: list[dict[str, Any]], what: str, across: str) -> None:
    """Draw each peer's time over faces or pixels, both logarithmic."""
    points: dict[str, list[tuple[float, float]]] = {}
    for case in cases:
        at = case["n_faces"] if across == "faces" else case["width"] * case["height"] / 1e6
        for row in compare.summary(case):
            if what in row:
                points.setdefault(row["name"], []).append((at, row[what]))
    for name, (colour, marker, width) in STYLES.items():
        if name in points:
            x, y = zip(*sorted(points[name]), strict=True)
            axes.plot(
                x, y, color=colour, marker=marker, linewidth=width, markersize=5, label=peers.PEERS[name].title,
                zorder=3 if name == compare.OURS else 2,
            )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("faces" if across == "faces" else "megapixels")
    if across == "pixels":
        ticks = sorted({round(x) for line in points.values() for x, _ in line})
        axes.set_xticks(ticks, [str(tick) for tick in ticks], minor=False)
        axes.set_xticks([], minor=True)
    in_words(axes.yaxis)
    axes.grid(True, which="major", color="#dddddd", linewidth=0.6)
    axes.tick_params(which="both", length=2)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def dots(axes: Any, case: dict[str, Any]) -> None:
    """Draw each peer's time for a view of a survey."""
    rows = {row["name"]: row["render"] for row in compare.summary(case)}
    names = [name for name in STYLES if name in rows][::-1]
    for i, name in enumerate(names):
        colour, marker, _ = STYLES[name]
        axes.plot(rows[name], i, color=colour, marker=marker, markersize=7)
        axes.annotate(
            harness.seconds(rows[name]),
            (rows[name], i),
            (8, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(range(len(names)), [peers.PEERS[name].title for name in names])
    axes.set_xscale("log")
    axes.set_xlabel("time per view")
    axes.margins(x=0.2, y=0.08)
    in_words(axes.xaxis)
    axes.grid(True, which="major", color="#dddddd", linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def in_words(axis: Any) -> None:
    """Write powers of ten of seconds as times, and nothing between."""
    from matplotlib import ticker

    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: harness.seconds(value)))
    axis.set_minor_formatter(ticker.NullFormatter())


def _shorter(attribute: str) -> str:
    """Return an SVG attribute with its numbers to the hundredth."""
    return re.sub(r"-?\d+\.\d+", lambda m: f"{float(m[0]):.2f}", attribute)


def draw(document: dict[str, Any], folder: Path) -> list[Path]:
    """Write the plots that the results allow; return their paths."""
    import matplotlib

    matplotlib.use("Agg")
    # Text stays text, which keeps files small; nothing in them depends on the moment.
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "depthraster", "font.size": 9}
    from matplotlib import pyplot

    results, written = document["results"], []
    folder.mkdir(parents=True, exist_ok=True)
    machine = f"{document['machine']['cpu']}, {document['machine']['cores']} cores"

    def finish(figure: Any, name: str) -> None:
        figure.suptitle(machine, fontsize=7, color="#666666")
        figure.savefig(folder / name, facecolor="white", metadata={"Date": None})
        pyplot.close(figure)
        text = re.sub(r' (d|x|y|transform)="[^"]*"', lambda m: _shorter(m[0]), (folder / name).read_text())
        (folder / name).write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n")
        written.append(folder / name)

    if results["faces"]:
        megapixels = results["faces"][0]["width"] * results["faces"][0]["height"] / 1e6
        figure, axes = pyplot.subplots(1, 2, figsize=(9.5, 4.2), layout="constrained", sharey=True)
        lines(axes[0], results["faces"], "render", "faces")
        axes[0].set_title(f"prepared mesh → depth image, {megapixels:.0f} MP", fontsize=10)
        lines(axes[1], results["faces"], "from_arrays", "faces")
        axes[1].set_title("arrays → depth image", fontsize=10)
        figure.legend(
            *axes[0].get_legend_handles_labels(),
            loc="outside lower center",
            ncols=4,
            fontsize=8,
            frameon=False,
        )
        finish(figure, "faces.svg")
    if results["pixels"]:
        figure, axis = pyplot.subplots(figsize=(6.2, 4.0), layout="constrained")
        lines(axis, results["pixels"], "render", "pixels")
        axis.set_title(
            f"prepared mesh of {results['pixels'][0]['n_faces']:,} faces → depth image", fontsize=10
        )
        axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        finish(figure, "pixels.svg")
    if results["survey"] and compare.summary(results["survey"][0]):
        case = results["survey"][0]
        figure, axis = pyplot.subplots(figsize=(6.2, 2.8), layout="constrained")
        dots(axis, case)
        axis.set_title(compare.where(case), fontsize=10)
        finish(figure, "survey.svg")
    return written


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="what compare.py --json wrote")
    parser.add_argument("folder", type=Path, help="where the plots go")
    arguments = parser.parse_args()
    for path in draw(json.loads(arguments.results.read_text()), arguments.folder):
        print(f"written: {path}")


if __name__ == "__main__":
    main()
