"""Unaligned little-endian loads and stores on byte arrays: what a wire scan is made of.

The caller guarantees that the bytes are inside the array; nothing is checked here. Without the JIT
(``NUMBA_DISABLE_JIT=1``, as a fuzzer runs the kernels) plain Python does the same, and does check.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # ships no types
from numba import config, njit, types
from numba.core import cgutils as typed_cgutils
from numba.extending import intrinsic

ByteArray: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]
WordArray: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
#: An int64 or uint64 inside a kernel, as the docstring says: Numba tells them apart, Python does not.
Word: TypeAlias = Any

cgutils: Any = typed_cgutils  # its functions carry no annotations


def _pointer(context: Any, builder: Any, signature: Any, arguments: Any, bits: int) -> Any:
    # The address of array[index] as a pointer to an integer of so many bits.
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    byte = builder.gep(array.data, [arguments[1]])
    return builder.bitcast(byte, ir.IntType(bits).as_pointer())


def _load(bits: int, result: Any) -> Any:
    def typer(typing_context: Any, array: Any, index: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.load(_pointer(context, builder, signature, arguments, bits), align=1)

        return result(array, types.int64), codegen

    return typer


def _load8(typing_context: Any, array: Any, index: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte = builder.load(_pointer(context, builder, signature, arguments, 8))
        return builder.zext(byte, ir.IntType(64))

    return types.int64(array, types.int64), codegen


def _store8(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature, arguments, 8)
        builder.store(builder.trunc(arguments[2], ir.IntType(8)), pointer)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), codegen


def _store(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature, arguments, 64)
        builder.store(arguments[2], pointer, align=1)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint64), codegen


def _copy(typing_context: Any, target: Any, at: Any, source: Any, start: Any, count: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to = context.make_array(signature.args[0])(context, builder, arguments[0])
        of = context.make_array(signature.args[2])(context, builder, arguments[2])
        cgutils.raw_memcpy(
            builder,
            builder.gep(to.data, [arguments[1]]),
            builder.gep(of.data, [arguments[3]]),
            arguments[4],
            1,
        )
        return context.get_dummy_value()

    return types.void(target, types.int64, source, types.int64, types.int64), codegen


def _borrow(typing_context: Any, array: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        maker = context.make_array(signature.args[0])
        of, to = maker(context, builder, arguments[0]), maker(context, builder)
        for field in ("nitems", "itemsize", "data", "shape", "strides"):
            setattr(to, field, getattr(of, field))
        to.meminfo = cgutils.get_null_value(to.meminfo.type)
        to.parent = cgutils.get_null_value(to.parent.type)
        return to._getvalue()

    return array(array), codegen


def _python_load(size: int, kind: Any) -> Any:
    def load(array: ByteArray, index: int) -> Any:
        data = bytes(array[index : index + size])
        if index < 0 or len(data) != size:
            raise IndexError(f"a load of {size} bytes at {index} of {len(array)}")
        return kind(int.from_bytes(data, "little"))

    return load


def _python_store8(array: ByteArray, index: int, value: int) -> None:
    if index < 0 or index >= len(array):
        raise IndexError(f"a store at {index} of {len(array)}")
    array[index] = value


def _python_store64(array: ByteArray, index: int, value: int) -> None:
    if index < 0 or index + 8 > len(array):
        raise IndexError(f"a store of 8 bytes at {index} of {len(array)}")
    array[index : index + 8] = np.frombuffer(int(value).to_bytes(8, "little"), np.uint8)


def _python_copy(target: ByteArray, at: int, source: ByteArray, start: int, count: int) -> None:
    if min(at, start, count) < 0 or at + count > len(target) or start + count > len(source):
        raise IndexError(f"a copy of {count} bytes from {start} of {len(source)} to {at} of {len(target)}")
    target[at : at + count] = source[start : start + count]


#: Whether the kernels run as plain Python.
INTERPRETED: bool = bool(getattr(config, "DISABLE_JIT"))  # noqa: B009 - set at run time, unknown to checkers

if INTERPRETED:
    load64: Any = _python_load(8, np.uint64)
    load32: Any = _python_load(4, np.uint32)
    load8: Any = _python_load(1, np.int64)
    store8: Any = _python_store8
    store64: Any = _python_store64
    copy_bytes: Any = _python_copy
    borrowed: Any = np.asarray
else:
    load64 = intrinsic(_load(64, types.uint64))
    load32 = intrinsic(_load(32, types.uint32))
    load8 = intrinsic(_load8)
    store8 = intrinsic(_store8)
    store64 = intrinsic(_store)
    copy_bytes = intrinsic(_copy)
    #: The same array without a claim on its memory: passing it on counts no references, which costs a kernel
    #: of many small functions most of its time. For arguments of a kernel only, which its caller keeps.
    borrowed = intrinsic(_borrow)


@njit(cache=True, nogil=True, forceinline=True)
def swap64(word: Word) -> Word:
    """The eight bytes of a uint64 in reverse order."""
    word = np.uint64(word)
    word = ((word >> np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF)) | (
        (word & np.uint64(0x00FF00FF00FF00FF)) << np.uint64(8)
    )
    word = ((word >> np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF)) | (
        (word & np.uint64(0x0000FFFF0000FFFF)) << np.uint64(16)
    )
    return (word >> np.uint64(32)) | (word << np.uint64(32))
