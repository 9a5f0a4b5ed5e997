"""Whether the hot loops are vectorized, by the compiled code itself: full-width registers in each of them, or not.

The kernels are compiled anew, in a process and a cache of their own, for the processor at hand; its assembly is numba's
(``inspect_asm``). With ``--also`` the same kernels are compiled for other processors, too: their code before optimization
goes through LLVM's standard pipeline for each, so that what NEON or AVX2 gets can be seen without such a machine. It is an
inspection, not a measurement.

A hot loop is known by what it does (`HOT`): an innermost loop of a certain function with, say, three comparisons of float32.
Of the loops that answer the description the widest counts, for beside a vectorized loop stands a scalar one for the rest;
it is at full width if that is how four fifths of its numbers are worked on.
The commonest change is a kernel that was renamed, or another loop: a line in `HOT`.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import harness

# Processors that others have: LLVM's triple and name, and what its widest registers are called here.
OTHERS = {
    "AVX2": ("x86_64-unknown-linux-gnu", "haswell"),
    "AVX-512": ("x86_64-unknown-linux-gnu", "znver4"),
    "NEON": ("aarch64-unknown-linux-gnu", "neoverse-n1"),
    "NEON, Apple M1": ("aarch64-unknown-linux-gnu", "apple-m1"),
}
_LANES = {"zmm": 8, "ymm": 4, "xmm": 2, "v": 2, "scalar": 1}  # float64 in a register
KERNELS = ("draw_clusters", "fill_rays", "resolve_tile")  # names in depthraster.pipeline


class Hot(NamedTuple):
    """A loop that matters: of which kernel, in which of its functions, and the least of each operation in it."""

    title: str
    kernel: str
    functions: tuple[str, ...]  # more than one where inlining may put it here or there; none: any
    least: dict[
        str, int
    ]  # operation and type ("cmp s": float32, "div d": float64) -> how many, packed or not
    together: int = (
        0  # numbers that it takes at a time by design, where a register may hold more of float32; 0: all
    )


HOT = (
    Hot("coverage and 1/Z of small faces", "draw_clusters", ("draw_clusters", "draw_windows"), {"mul s": 8, "cmp s": 1}),
    Hot("coverage and 1/Z of large faces", "draw_clusters", ("draw_large",), {"mul s": 8, "cmp s": 1}),
    Hot("placing vertices", "draw_clusters", ("place_vertices",), {"div d": 1, "mul d": 4}),
    Hot("vertices through the lens", "draw_clusters", ("image_vertices",), {"mul s": 12, "cmp s": 1}),
    Hot("planes of small faces", "draw_clusters", ("stage_plain",), {"div d": 1, "mul d": 6, "mul s": 12}, 8),
    Hot("cubics of a row of pixels", "fill_rays", (), {"mul d": 12, "add d": 3}),
    Hot("rays of a row of pixels", "fill_rays", (), {"mul s": 6}),
    Hot("depth from 1/Z", "resolve_tile", ("resolve_tile", "_depth_pairs"), {"div s": 1}),
)  # fmt: skip


class Loop(NamedTuple):
    """An innermost loop: its instructions, and its floating-point operations by width and by kind."""

    function: str
    instructions: int
    widths: dict[str, int]  # "zmm", "ymm", "xmm", "v" (NEON, 128 bits), "scalar" -> operations
    kinds: dict[str, int]  # "mul s" -> operations of either form
    both: dict[tuple[str, str], int]  # width and type, ("zmm", "s") -> operations


_X86 = re.compile(
    r"^v?(add|sub|mul|div|max|min|cmp|ucomi|comi|fn?madd|fn?msub|sqrt|cvt)\w*?(ps|pd|ss|sd)\b\s*(.*)$"
)
_ARM = re.compile(
    r"^f(add|sub|n?mul|div|max|maxnm|min|minnm|cmp|cmgt|cmge|cmlt|cmle|cmeq|n?madd|n?msub|mla|mls|sqrt|cvt\w*)\s+(\S+)"
)


def operation(line: str) -> tuple[str, str] | None:
    """Return width and kind of a floating-point instruction; None for any other.

    >>> operation("vmulps  %zmm2, %zmm5, %zmm5")
    ('zmm', 'mul s')
    >>> operation("fcmge   v30.4s, v30.4s, v25.4s")
    ('v', 'cmp s')
    >>> operation("vaddsd  %xmm2, %xmm5, %xmm5")
    ('scalar', 'add d')
    """
    line = line.strip()
    if found := _X86.match(line):
        name, form, operands = found.groups()
        name = "cmp" if name in ("ucomi", "comi") else name.removeprefix("f").removeprefix("n")
        width = "scalar"
        if form[0] == "p":
            width = next((w for w in ("zmm", "ymm") if w in operands), "xmm")
        kind = form[1]
    elif found := _ARM.match(line):
        name, target = found.groups()
        name = "cmp" if name.startswith("cm") else name.removesuffix("nm").removeprefix("n")
        vector = re.match(r"v\d+\.(\d+)?([sd])", target)
        width = ("v" if vector[1] else "scalar") if vector else "scalar"
        kind = vector[2] if vector else target[0]
        if kind not in "sd":  # fcmp's flags, conversions to integers
            kind = "d"
    else:
        return None
    name = (
        "add" if name == "sub" else {"madd": "mul", "msub": "mul", "mla": "mul", "mls": "mul"}.get(name, name)
    )
    return width, f"{name[:4].rstrip()} {kind}"


def loops(assembly: str) -> list[Loop]:
    """Return the innermost loops of a module's functions, but for numba's wrappers."""
    found: list[Loop] = []
    for name, body in _functions(assembly):
        labels = {line[:-1]: i for i, line in enumerate(body) if line.endswith(":")}
        backward = []
        for i, line in enumerate(body):
            words = line.split()
            if len(words) >= 2 and re.match(r"^(j\w+|b(\.\w+)?|cbn?z|tbn?z)$", words[0]):
                target = labels.get(words[-1])
                if target is not None and target < i:
                    backward.append((target, i))
        for start, end in backward:
            if any(start <= s and e <= end and (s, e) != (start, end) for s, e in backward):
                continue
            operations = [o for line in body[start : end + 1] if (o := operation(line)) is not None]
            if operations:
                found.append(
                    Loop(
                        name,
                        sum(not line.endswith(":") for line in body[start : end + 1]),
                        dict(Counter(width for width, _ in operations)),
                        dict(Counter(kind for _, kind in operations)),
                        dict(Counter((width, kind[-1]) for width, kind in operations)),
                    )
                )
    return found


def _functions(assembly: str) -> list[tuple[str, list[str]]]:
    """Return name and lines, labels and instructions, of each function but numba's wrappers around it."""
    functions: list[tuple[str, list[str]]] = []
    current: list[str] | None = None
    for raw in assembly.splitlines():
        line = raw.split("//")[0].split("##")[0].strip()
        if start := re.match(r'^"?(_{0,2}ZN\d\S*?|_?cfunc\S*?)"?:', line):
            wrapper = "cfunc" in start[1][:6] or "7cpython" in start[1][:12]
            current = None if wrapper else []
            if current is not None:
                functions.append((_last_part(start[1]), current))
        elif current is not None and (label := re.match(r"^(\S+):", line)):
            current.append(f"{label[1]}:")
        elif current is not None and line and not line.startswith((".", "#", ";")):
            current.append(line)
    return functions


def _last_part(mangled: str) -> str:
    """Return the function's own name of a mangled one: the last of ``11depthraster7kernels5tiles13draw_clusters``."""
    at, name = mangled.find("N") + 1, ""
    while found := re.match(r"\d+", mangled[at:]):
        start = at + len(found[0])
        name = mangled[start : start + int(found[0])]
        at = start + int(found[0])
    return name


def _share(loop: Loop, full: str, together: int) -> float:
    """Return the share that full instructions have in the numbers that a loop works on.

    Full are those of the widest register, and, where a loop takes so many numbers ``together``, those that hold as many.
    """

    def is_full(width: str, kind: str) -> bool:
        return width == full or 0 < together <= (_LANES[width] if kind == "d" else 2 * _LANES[width])

    weights = {key: _LANES[key[0]] * n for key, n in loop.both.items()}
    return sum(weight for key, weight in weights.items() if is_full(*key)) / sum(weights.values())


def inspect(assemblies: dict[str, str], full: str) -> list[dict[str, Any]]:
    """Return for each loop of `HOT` what was found in its kernel's assembly; ``full`` is the widest register's name."""
    results = []
    for hot in HOT:
        candidates = [
            loop
            for loop in loops(assemblies[hot.kernel])
            if (not hot.functions or loop.function in hot.functions)
            and all(loop.kinds.get(k, 0) >= n for k, n in hot.least.items())
        ]
        best = max(
            candidates,
            key=lambda loop: (_share(loop, full, hot.together), -loop.widths.get("scalar", 0)),
            default=None,
        )
        result: dict[str, Any] = {"title": hot.title, "function": "", "widths": {}, "verdict": "not found"}
        if best is not None:
            numbers = {width: _LANES[width] * n for width, n in best.widths.items()}
            verdict = "vectors, narrower"
            if numbers.get("scalar", 0) > 0.2 * sum(numbers.values()):
                verdict = "scalar"
            elif _share(best, full, hot.together) >= 0.8:
                verdict = f"full width, {hot.together} at a time" if hot.together else "full width"
            result |= {
                "function": best.function, "instructions": best.instructions, "widths": best.widths, "verdict": verdict,
            }  # fmt: skip
        results.append(result)
    return results


def compiled(optimize: bool) -> dict[str, str]:
    """Compile the kernels anew in another process; return numba's assembly, or their LLVM code before optimization."""
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ) | {"NUMBA_CACHE_DIR": folder}
        if not optimize:
            environment |= {"NUMBA_OPT": "0", "NUMBA_LOOP_VECTORIZE": "0", "NUMBA_SLP_VECTORIZE": "0"}
        command = [sys.executable, "-W", "ignore", __file__, "--compile-into", folder]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"the kernels could not be compiled: {done.stderr.strip().splitlines()[-1:]}")
        kind = "s" if optimize else "ll"
        return {name: Path(folder, f"{name}.{kind}").read_text() for name in KERNELS}


def compile_into(folder: Path) -> None:
    """Render a tiny view, and write each kernel's assembly and LLVM code."""
    import depthraster as dr
    import scenes
    from depthraster import pipeline

    pipeline.TOGETHER = False  # the same kernels, each by itself
    view = scenes.survey_view(2000, 0.05)
    dr.render_depth((view.vertices, view.faces), view.transform, view.calibration, threads=1)
    for name in KERNELS:
        kernel = getattr(pipeline, name)
        (folder / f"{name}.s").write_text("\n".join(kernel.inspect_asm().values()))
        library = next(iter(kernel.overloads.values())).library
        (folder / f"{name}.ll").write_text(library.get_llvm_str())


def compiled_for(code: dict[str, str], triple: str, cpu: str) -> dict[str, str]:
    """Return the assembly that LLVM's standard pipeline makes of unoptimized code for another processor."""
    from llvmlite import binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    assemblies = {}
    for name, text in code.items():
        machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, opt=3)
        text = re.sub(r"target triple = .*", f'target triple = "{triple}"', text)
        text = re.sub(r"target datalayout = .*", f'target datalayout = "{machine.target_data}"', text)
        module = llvm.parse_assembly(text)
        options = llvm.create_pipeline_tuning_options(speed_level=3)
        options.loop_vectorization = options.slp_vectorization = True
        llvm.create_pass_builder(machine, options).getModulePassManager().run(
            module, llvm.create_pass_builder(machine, options)
        )
        assemblies[name] = machine.emit_assembly(module)
    return assemblies


def widest() -> str:
    """Return the name of the widest registers of the processor at hand, as `Loop.widths` has it."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        return "v"
    from llvmlite import binding as llvm

    features = llvm.get_host_cpu_features()
    return "zmm" if features.get("avx512f") else "ymm" if features.get("avx") else "xmm"


def show(title: str, full: str, results: list[dict[str, Any]]) -> None:
    """Print what was found for one processor."""
    names = {"zmm": "512 bits", "ymm": "256 bits", "xmm": "128 bits", "v": "128 bits"}
    print(f"\n{title}, full width is {names[full]}\n")
    rows = [
        (
            r["title"],
            r["function"],
            ", ".join(f"{n} {w}" for w, n in sorted(r["widths"].items())),
            str(r.get("instructions", "")),
            r["verdict"],
        )
        for r in results
    ]
    print(harness.table(("loop", "in", "floating-point operations", "instructions", "verdict"), rows))


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--also", nargs="*", choices=list(OTHERS), default=[], help="other processors to compile for"
    )
    parser.add_argument("--json", help="file for the results")
    parser.add_argument("--compile-into", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.compile_into is not None:
        compile_into(arguments.compile_into)
        return
    machine = harness.describe_machine()
    print(harness.machine_line(machine))
    full = widest()
    results = {"here": {"full": full, "loops": inspect(compiled(True), full)}}
    show("the processor at hand, numba's own code", full, results["here"]["loops"])
    if arguments.also:
        code = compiled(False)
        for title in arguments.also:
            full = {"AVX2": "ymm", "AVX-512": "zmm"}.get(title, "v")
            found = inspect(compiled_for(code, *OTHERS[title]), full)
            results[title] = {"full": full, "loops": found}
            show(f"{title} ({OTHERS[title][1]})", full, found)
    harness.write_json(arguments.json, "assembly", machine, results)
    missing = [r["title"] for r in results["here"]["loops"] if not r["verdict"].startswith("full width")]
    if missing:
        raise SystemExit(f"\nnot at full width here: {', '.join(missing)}")
    print("\nall hot loops are at full width here")


if __name__ == "__main__":
    main()
