"""Run the benchmarks that are named, or all."""

import importlib
import os
import sys

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

NAMES = (
    "throughput",
    "threads",
    "startup",
    "gymnasium_env",
    "environments",
    "learning",
    "ladder",
    "torch_path",
    "solve",
    "notebook",
    "microscope",
    "intervals",
    "sweeps",
    "theory",
    "lesson",
)

SEARCHES = ("general", "against_rliable")  # take hours, or need packages of their own: only where they are named

chosen = sys.argv[1:] or NAMES
unknown = [name for name in chosen if name not in (*NAMES, *SEARCHES)]
if unknown:
    sys.exit(f"unknown benchmark {', '.join(unknown)}; there are {', '.join((*NAMES, *SEARCHES))}")
for name in chosen:
    print(f"\n## {name}\n", flush=True)
    importlib.import_module(f"benchmarks.{name}").main()
