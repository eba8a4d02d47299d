"""A compiler for inner functions: they become part of whoever calls them, and are optimised there once.

Numba optimises a function, turns it into machine code, links it into its caller and optimises the whole again, at every
level of calls. Eight levels deep, that is most of the compile time. An inner function is only translated; the outermost
function's optimisation does the rest. As only compiled code calls inner functions, they have no wrappers for Python,
and LLVM is promised that their array arguments do not overlap, so that loops need no checks for it.

This uses Numba's documented extension point for compiler pipelines, but overrides methods of its code library; a test
compiles with it, so that a release of Numba which moves them is noticed.
"""

import weakref
from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.typed_passes import NoPythonSupportedFeatureValidation


class WithoutEnvironment:
    """A code generator that does not set a function's environment, which serves printing and object mode."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)

    def set_env(self, name: str, environment: Any) -> None:
        """Do nothing: there is no machine code to set it in."""


class LinkedOnly(JITCodeLibrary):  # type: ignore[misc]
    """A library of LLVM code for linking into others: neither optimised nor turned into machine code."""

    @property
    def codegen(self) -> Any:
        """The code generator for whoever finishes this library."""
        return WithoutEnvironment(self._codegen)

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._final_module.__library = weakref.proxy(self)
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """Return null: there is nothing to execute."""
        self._ensure_finalized()
        return 0


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


class InnerCompiler(CompilerBase):  # type: ignore[misc]
    """Numba's usual pipeline with `ChooseLinkedOnly` just before code generation."""

    def define_pipelines(self) -> list[Any]:
        """Return the pipeline; called by Numba."""
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.add_pass_after(ChooseLinkedOnly, NoPythonSupportedFeatureValidation)
        passes.finalize()
        return [passes]
