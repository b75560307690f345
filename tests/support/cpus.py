"""`python -m tests.support.cpus [PYTEST ARGUMENTS]` runs the suite as other processors would: `make test-cpus`.

BLAS, torch, Numba and the C library each choose their routines by the processor, and can be made to choose as for
another. Every choice of each is in at least one of the runs. A processor that lacks an instruction stays without:
SkylakeX needs AVX-512, Haswell and avx2 need AVX2.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

BLAS, TORCH, NUMBA, FEATURES, LIBC = (
    "OPENBLAS_CORETYPE",
    "ATEN_CPU_CAPABILITY",
    "NUMBA_CPU_NAME",
    "NUMBA_CPU_FEATURES",
    "GLIBC_TUNABLES",
)
PLAIN = {NUMBA: "x86-64", FEATURES: ""}  # SSE2: vectors of two numbers
AVX2 = {NUMBA: "haswell", FEATURES: "+avx,+avx2,+fma,+bmi,+bmi2,+f16c,+lzcnt,+movbe,+popcnt"}
PROCESSORS: dict[str, dict[str, str]] = {
    "this one, as it is": {},
    "AVX2": {BLAS: "Haswell", TORCH: "avx2", **AVX2},
    "no vectors beyond SSE2": {
        BLAS: "Prescott",
        TORCH: "default",
        **PLAIN,
        LIBC: "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F",
    },
    "AVX-512 for BLAS, AVX2 for Numba": {BLAS: "SkylakeX", TORCH: "default", **AVX2},
    "AVX-512 for BLAS, SSE2 for Numba": {BLAS: "SkylakeX", TORCH: "avx2", **PLAIN},
}
CHOICES = (BLAS, TORCH, NUMBA, FEATURES, LIBC)


def missing(settings: dict[str, str]) -> str:
    """The instructions this processor lacks for these settings; "" where it has them."""
    path = Path("/proc/cpuinfo")
    here = path.read_text().split() if path.is_file() else []
    wanted = {"avx512f"} if settings.get(BLAS) == "SkylakeX" else {"avx2"} if "Haswell" in settings.values() else set()
    return ", ".join(wanted - set(here)) if here else ""


def main(arguments: list[str]) -> int:
    """Run the suite once for each of PROCESSORS; the number of runs that failed."""
    failed = 0
    lines = []
    for name, settings in PROCESSORS.items():
        lacks = missing(settings)
        if lacks:
            lines.append(f"not run (no {lacks} here)   {name}")
            continue
        print(f"\n== {name}: {' '.join(f'{k}={v}' for k, v in settings.items()) or 'nothing set'}", flush=True)
        clean = {key: value for key, value in os.environ.items() if key not in CHOICES}
        command = [
            sys.executable,
            "-m",
            "pytest",
            *(arguments or ["-n", "auto", "--dist", "loadfile", "-m", "not slow"]),
        ]
        with tempfile.TemporaryDirectory() as basetemp:  # of its own: runs must not see each other's folders
            code = subprocess.run([*command, "--basetemp", f"{basetemp}/t"], env={**clean, **settings}).returncode
        failed += code != 0
        lines.append(f"{'passed' if code == 0 else f'exit {code}'}   {name}")
    print("\n" + "\n".join(lines))
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
