"""Compile pgrad for the browser: `python -m pgrad.lesson.build FOLDER` writes engine.wasm, engine.json and
exercises.json there.

Numba turns the functions of engine.py, and all that they call, into LLVM code for this machine, whose pointers have 8
bytes. Nothing in it depends on that as long as LLVM has optimised nothing, so it is given another target, WebAssembly
with vectors of 128 bits, and optimised for that once. Zig, which brings LLVM's linker and a C library, links it with
runtime.c. engine.json holds what engine.ts needs to know: the records' layouts, and the numbers of names.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ["NUMBA_OPT"] = "0"  # before Numba is imported: see above

import llvmlite.binding as llvm
import numpy as np

from pgrad.algorithms.iteration import METRICS
from pgrad.estimators.catalogue import CATALOGUE
from pgrad.estimators.spec import BASELINES, ESTIMATORS, STANDARDIZATIONS
from pgrad.kernels.jit import Compiled
from pgrad.lesson import engine
from pgrad.lesson.answers import described
from pgrad.lesson.memory import Exported, fields_of, size_of
from pgrad.lesson.records import new_theory, rollout_of, trainings
from pgrad.lesson.sources import HERE, built_from, sources
from pgrad.lesson.theory import theory_functions
from pgrad.training.loops import FAULTS

TRIPLE = "wasm32-unknown-wasi"
LAYOUT = "e-m:e-p:32:32-p10:8:8-p20:8:8-i64:64-i128:128-n32:64-S128-ni:1:10:20"
FEATURES = ("simd128", "bulk-memory", "nontrapping-fptoint", "sign-ext", "mutable-globals")
# Numba's names of types, and LLVM's.
TYPES = {"int32": "i32", "int64": "i64", "uint64": "i64", "float64": "double", "none": "void"}
LISTED = 300  # numbers of an array that are more than room


def main(folder: Path) -> None:
    """Write the three files, unless they are there and nothing has changed since."""
    if built_from(folder) == sources():
        return
    records, functions = records_and_functions()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "engine.wasm").write_bytes(linked(optimised(translated(functions), [*functions]), [*functions]))
    (folder / "exercises.json").write_text(json.dumps(described(), ensure_ascii=False), "utf-8")
    (folder / "engine.json").write_text(json.dumps(description(records), separators=(",", ":")), "utf-8")


def records_and_functions() -> tuple[dict[str, Any], dict[str, Exported]]:
    """Return the records by name, and all functions by the name under which they are exported."""
    runs = trainings()
    rollouts = {f"{name} rollout": rollout_of(run) for name, run in runs.items()}
    functions = dict(engine.FUNCTIONS)
    once, rollout = runs["notebook"], rollouts["notebook rollout"]
    functions["train_once"] = engine.training(once)
    functions["train_epochs"] = engine.training(runs["ppo"])
    functions["collect"] = engine.collecting(rollout)
    functions["act"] = engine.acting(rollout)
    functions["initialise"] = engine.initialising(once.learner.policy.network)
    theory = new_theory()
    functions |= theory_functions(theory)
    return {**runs, **rollouts, "theory": theory}, functions


def translated(functions: dict[str, Exported]) -> str:
    """Return LLVM code of all functions, and of one with a plain signature for each, under its exported name."""
    whole, entries = llvm.parse_assembly(""), []
    for name, (function, arguments) in functions.items():
        inner = Compiled(function).inner
        inner.compile(arguments)
        result = inner.overloads[inner.signatures[0]]
        module, called = result.library._get_module_for_linking(), result.fndesc.mangled_name
        module.get_function(called).linkage = "external"  # else nobody calls it, and linking drops it
        whole.link_in(module, preserve=True)
        entries.append(entry(name, called, [str(kind) for kind in arguments], str(result.signature.return_type)))
    text = str(whole)
    text = re.sub(r'target datalayout = ".*"', f'target datalayout = "{LAYOUT}"', text)
    text = re.sub(r'target triple = ".*"', f'target triple = "{TRIPLE}"', text)
    text = re.sub(r"= common (local_unnamed_addr |unnamed_addr )?global", r"= internal \1global", text)
    text = re.sub(r'"target-(cpu|features)"="[^"]*"', "", text)
    return "\n".join([text, *entries])


def entry(name: str, called: str, arguments: list[str], returned: str) -> str:
    """Return LLVM code that calls a function of Numba's, which writes what it returns, or raises, to memory."""
    given = "".join(f", {TYPES[kind]} %{k}" for k, kind in enumerate(arguments))
    result = TYPES[returned]
    end = "ret void" if result == "void" else f"%value = load {result}, ptr %result\n  ret {result} %value"
    return f"""
define {result} @{name}({given[2:]}) {{
  %result = alloca i64
  %raised = alloca ptr
  %status = call i32 @{called}(ptr %result, ptr %raised{given})
  {end}
}}"""


def optimised(text: str, exported: list[str]) -> bytes:
    """Return the object file of LLVM code for WebAssembly; all but the exported functions may go into their callers."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    module = llvm.parse_assembly(text)
    for function in module.functions:
        if not function.is_declaration and function.name not in exported:
            function.linkage = "internal"
    features = ",".join(f"+{feature}" for feature in FEATURES)
    target = llvm.Target.from_triple(TRIPLE).create_target_machine(
        cpu="generic", features=features, opt=3, reloc="static"
    )
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = options.loop_interleaving = options.loop_unrolling = True
    builder = llvm.create_pass_builder(target, options)
    builder.getModulePassManager().run(module, builder)
    code: bytes = target.emit_object(module)
    return code


def linked(code: bytes, exported: list[str]) -> bytes:
    """Return the WebAssembly module of an object file, runtime.c and what these need of the C library."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "engine.o").write_bytes(code)
        exports = [f"-Wl,--export={function}" for function in [*exported, "aligned_alloc", "free"]]
        target = ["-target", "wasm32-wasi", "-mexec-model=reactor", "-mcpu=generic+bulk_memory+simd128"]
        output = folder / "engine.wasm"
        subprocess.run(
            [sys.executable, "-m", "ziglang", "cc", *target, "-O2", "-s", *exports, "-Wl,-z,stack-size=1048576"]
            + [str(folder / "engine.o"), str(HERE / "runtime.c"), "-o", str(output)],
            check=True,
        )
        return output.read_bytes()


def description(records: dict[str, Any]) -> dict[str, Any]:
    """Return what engine.ts needs to know."""
    return {
        "sources": sources(),
        "records": {name: layout(record) for name, record in records.items()},
        "numbers": {"estimator": ESTIMATORS, "baseline": BASELINES, "standardize": STANDARDIZATIONS},
        "metrics": METRICS,
        "faults": {str(fault): what for fault, what in FAULTS.items()},
        "catalogue": [{"name": one.name, "bias": one.bias, **one.spec._asdict()} for one in CATALOGUE],
    }


def layout(record: Any) -> dict[str, Any]:
    """Return the size of a record, and of each field its path, kind, offset and value; of arrays the shape too."""
    fields = []
    for path, kind, offset, value in fields_of(record):
        if isinstance(value, np.ndarray):
            content = value.ravel().tolist() if value.size <= LISTED and value.any() else []
            fields.append([path, kind, offset, content, list(value.shape)])
        else:
            fields.append([path, kind, offset, number(value)])
    return {"size": size_of(record), "fields": fields}


def number(value: Any) -> Any:
    """Return a number as JSON can hold it: large and infinite ones as text."""
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return str(value) if abs(value) > 2**53 else value if isinstance(value, float) else int(value)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
