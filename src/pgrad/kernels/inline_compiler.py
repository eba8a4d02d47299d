"""A compiler for inner functions: they become part of whoever calls them, and are optimised there once.

Numba optimises a function, turns it into machine code, links it into its caller and optimises the whole again, at every
level of calls. Eight levels deep, that is most of the compile time. An inner function is only translated; the outermost
function's optimisation does the rest. As only compiled code calls inner functions, they have no wrappers for Python,
and LLVM is promised that their array arguments do not overlap, so that loops need no checks for it.

This uses Numba's documented extension point for compiler pipelines, but overrides methods of its code library; a test
compiles with it, so that a release of Numba which moves them is noticed.
"""

from typing import Any

from llvmlite.binding import Linkage
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.typed_passes import NativeLowering, NoPythonSupportedFeatureValidation

from pgrad.kernels.references import BorrowingLowering


class WithoutEnvironment:
    """A code generator that does not set a function's environment, which serves printing and object mode."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)

    def set_env(self, name: str, environment: Any) -> None:
        """Do nothing: there is no machine code to set it in."""


class LinkedOnly(JITCodeLibrary):  # type: ignore[misc]
    """A library of LLVM code for linking into others: neither optimised nor turned into machine code.

    It holds its own function alone. What that calls, at any depth, is linked in once for the outermost function, not
    again at every level.
    """

    @property
    def codegen(self) -> Any:
        """The code generator for whoever finishes this library."""
        return WithoutEnvironment(self._codegen)

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def finalize(self) -> None:
        """Offer the functions for linking, as code that may come in several times."""
        self._finalize_dynamic_globals()
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.external:
                function.linkage = "linkonce_odr"
        self._finalized = True

    def _get_module_for_linking(self) -> Any:
        self._ensure_finalized()
        if self._shared_module is None:
            module = self._final_module.clone()
            for library in called_libraries(self):
                own = library._final_module if isinstance(library, LinkedOnly) else library._get_module_for_linking()
                module.link_in(own, preserve=True)
            self._shared_module: Any = module
        return self._shared_module

    def get_pointer_to_function(self, name: str) -> int:
        """Return null: there is nothing to execute."""
        self._ensure_finalized()
        return 0


def called_libraries(library: Any) -> list[Any]:
    """Return the libraries that a library's code calls, at any depth, each once; of Numba's own the outermost."""
    found: dict[Any, None] = {}
    left = [library]
    while left:
        for called in left.pop()._linking_libraries:
            if called not in found:
                found[called] = None
                if isinstance(called, LinkedOnly):
                    left.append(called)
    return list(found)


@register_pass(mutates_CFG=False, analysis_only=False)
class ChooseLinkedOnly(FunctionPass):  # type: ignore[misc]
    """Make the function's library a LinkedOnly, and its array arguments `noalias`."""

    _name = "choose_linked_only"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        """Replace the library; called by Numba."""
        state.flags.noalias = True
        state.library = LinkedOnly(state.targetctx.codegen(), state.func_id.func_qualname)
        return True


class OuterCompiler(CompilerBase):  # type: ignore[misc]
    """Numba's usual pipeline, counting fewer references (see kernels.references)."""

    def define_pipelines(self) -> list[Any]:
        """Return the pipeline; called by Numba."""
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        pipeline.passes = [(BorrowingLowering if p is NativeLowering else p, text) for p, text in pipeline.passes]
        self.extend(pipeline)
        pipeline.finalize()
        return [pipeline]

    def extend(self, pipeline: Any) -> None:
        """Leave the pipeline as it is."""


class InnerCompiler(OuterCompiler):
    """The same with `ChooseLinkedOnly` just before code generation."""

    def extend(self, pipeline: Any) -> None:
        """Insert `ChooseLinkedOnly`."""
        pipeline.add_pass_after(ChooseLinkedOnly, NoPythonSupportedFeatureValidation)
