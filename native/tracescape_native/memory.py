"""Unaligned little-endian loads and stores on byte arrays: what a wire scan is made of.

Each takes an array or a `pointer`, and an index in bytes. The caller guarantees that the bytes are inside the
array; nothing is checked here. Without the JIT (``NUMBA_DISABLE_JIT=1``, as a fuzzer runs the kernels) plain
Python does the same, and does check.
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
NumberArray: TypeAlias = np.ndarray[Any, np.dtype[np.int32]]
#: An int64 or uint64 inside a kernel, as the docstring says: Numba tells them apart, Python does not.
Word: TypeAlias = Any

cgutils: Any = typed_cgutils  # its functions carry no annotations


_BYTE: Any = ir.IntType(8)
_WORD: Any = ir.IntType(64)
_LANES: Any = ir.VectorType(_BYTE, 32)


def _place(context: Any, builder: Any, kind: Any, value: Any, index: Any, to: Any) -> Any:
    # The address of that byte of an array, or behind a pointer, as a pointer to an LLVM type.
    base = (
        value if isinstance(kind, types.CPointer) else context.make_array(kind)(context, builder, value).data
    )
    byte = builder.gep(builder.bitcast(base, _BYTE.as_pointer()), [index])
    return builder.bitcast(byte, to.as_pointer())


def _load(llvm: Any, result: Any, widened: bool = False) -> Any:
    def load(typing_context: Any, array: Any, index: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            place = _place(context, builder, signature.args[0], arguments[0], arguments[1], llvm)
            loaded = builder.load(place, align=1)
            return builder.zext(loaded, _WORD) if widened else loaded

        return result(array, types.int64), codegen

    return load


def _store(llvm: Any, value_type: Any) -> Any:
    def store(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            place = _place(context, builder, signature.args[0], arguments[0], arguments[1], llvm)
            value = arguments[2] if llvm is _WORD else builder.trunc(arguments[2], llvm)
            builder.store(value, place, align=1)
            return context.get_dummy_value()

        return types.void(array, types.int64, value_type), codegen

    return store


def _copy(typing_context: Any, target: Any, at: Any, source: Any, start: Any, count: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to = _place(context, builder, signature.args[0], arguments[0], arguments[1], _BYTE)
        of = _place(context, builder, signature.args[2], arguments[2], arguments[3], _BYTE)
        cgutils.raw_memcpy(builder, to, of, arguments[4], 1)
        return context.get_dummy_value()

    return types.void(target, types.int64, source, types.int64, types.int64), codegen


def _copy32(typing_context: Any, target: Any, at: Any, source: Any, start: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to = _place(context, builder, signature.args[0], arguments[0], arguments[1], _LANES)
        of = _place(context, builder, signature.args[2], arguments[2], arguments[3], _LANES)
        builder.store(builder.load(of, align=1), to, align=1)
        return context.get_dummy_value()

    return types.void(target, types.int64, source, types.int64), codegen


def _marks(builder: Any, lanes: Any) -> Any:
    # 32 conditions as the lowest 32 bits of a word.
    return builder.zext(builder.bitcast(lanes, ir.IntType(32)), _WORD)


def _specials32(typing_context: Any, array: Any, index: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lanes = builder.load(
            _place(context, builder, signature.args[0], arguments[0], arguments[1], _LANES), align=1
        )

        def all_lanes(byte: int) -> Any:
            return ir.Constant(_LANES, [byte] * 32)

        low = builder.icmp_signed("<", lanes, all_lanes(32))  # what is beyond ASCII is negative
        quotes = builder.icmp_signed("==", lanes, all_lanes(34))
        backslashes = builder.icmp_signed("==", lanes, all_lanes(92))
        return _marks(builder, builder.or_(low, builder.or_(quotes, backslashes)))

    return types.int64(array, types.int64), codegen


def _differ32(typing_context: Any, one: Any, at: Any, other: Any, there: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        first = builder.load(
            _place(context, builder, signature.args[0], arguments[0], arguments[1], _LANES), align=1
        )
        second = builder.load(
            _place(context, builder, signature.args[2], arguments[2], arguments[3], _LANES), align=1
        )
        return _marks(builder, builder.icmp_signed("!=", first, second))

    return types.int64(one, types.int64, other, types.int64), codegen


def _pointer(typing_context: Any, array: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    pointer_type: Any = types.CPointer  # carries no annotations
    return pointer_type(array.dtype)(array), codegen


def _behind(typing_context: Any, start: Any, count: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.gep(arguments[0], [arguments[1]])

    return start(start, types.int64), codegen


def _trailing_zeros(typing_context: Any, word: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), codegen


def _leading_zeros(typing_context: Any, word: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), codegen


def _check(array: Any, index: int, size: int) -> None:
    if index < 0 or index + size > len(array):
        raise IndexError(f"{size} bytes at {index} of {len(array)}")


def _python_load(size: int, kind: Any) -> Any:
    def load(array: ByteArray, index: int) -> Any:
        _check(array, index, size)
        return kind(int.from_bytes(array[index : index + size].tobytes(), "little"))

    return load


def _python_store8(array: ByteArray, index: int, value: int) -> None:
    _check(array, index, 1)
    array[index] = value


def _python_store64(array: ByteArray, index: int, value: int) -> None:
    _check(array, index, 8)
    array[index : index + 8] = np.frombuffer(int(value).to_bytes(8, "little"), np.uint8)


def _python_copy(target: ByteArray, at: int, source: ByteArray, start: int, count: int) -> None:
    _check(target, at, count)
    _check(source, start, count)
    target[at : at + count] = source[start : start + count]


def _python_marks(lanes: Any) -> int:
    return int.from_bytes(np.packbits(lanes, bitorder="little").tobytes(), "little")


def _python_specials32(array: ByteArray, index: int) -> int:
    _check(array, index, 32)
    lanes = array[index : index + 32]
    return _python_marks((lanes < 32) | (lanes > 127) | (lanes == 34) | (lanes == 92))


def _python_differ32(one: ByteArray, at: int, other: ByteArray, there: int) -> int:
    _check(one, at, 32)
    _check(other, there, 32)
    return _python_marks(one[at : at + 32] != other[there : there + 32])


#: Whether the kernels run as plain Python.
INTERPRETED: bool = bool(getattr(config, "DISABLE_JIT"))  # noqa: B009 - set at run time, unknown to checkers

if INTERPRETED:
    load64: Any = _python_load(8, np.uint64)
    load32: Any = _python_load(4, np.int64)
    load8: Any = _python_load(1, np.int64)
    store8: Any = _python_store8
    store64: Any = _python_store64
    copy_bytes: Any = _python_copy
    # Names with a type, so that checkers see one thing in both branches.
    copy32: Any = lambda target, at, source, start: _python_copy(target, at, source, start, 32)  # noqa: E731
    specials32: Any = _python_specials32
    differ32: Any = _python_differ32
    pointer: Any = np.ravel  # of what is contiguous: no copy
    behind: Any = lambda start, count: start[count:]  # noqa: E731
    trailing_zeros: Any = lambda word: (int(word) & -int(word)).bit_length() - 1  # noqa: E731
    leading_zeros: Any = lambda word: 64 - (int(word) & (2**64 - 1)).bit_length()  # noqa: E731
else:
    #: ``load64(bytes, index)`` is a uint64, the others are int64.
    load64 = intrinsic(_load(_WORD, types.uint64))
    load32 = intrinsic(_load(ir.IntType(32), types.int64, widened=True))
    load8 = intrinsic(_load(_BYTE, types.int64, widened=True))
    store8 = intrinsic(_store(_BYTE, types.int64))
    store64 = intrinsic(_store(_WORD, types.uint64))
    copy_bytes = intrinsic(_copy)
    #: ``copy32(target, at, source, start)`` copies 32 bytes, all at once.
    copy32 = intrinsic(_copy32)
    #: ``specials32(bytes, index)`` marks those of 32 bytes that JSON text escapes or that are beyond ASCII:
    #: bit i of an int64 stands for byte i. ``differ32(one, at, other, there)`` marks those that differ.
    specials32 = intrinsic(_specials32)
    differ32 = intrinsic(_differ32)
    #: ``pointer(array)`` is where a contiguous array begins: it is indexed like the array, but knows neither
    #: its length nor who owns it. A kernel of many small functions that passes arrays themselves spends most
    #: of its time on that. ``behind(pointer, count)`` is the pointer to ``pointer[count]``.
    pointer = intrinsic(_pointer)
    behind = intrinsic(_behind)
    #: The lowest bit that is set in an int64 other than 0.
    trailing_zeros = intrinsic(_trailing_zeros)
    #: How many bits above the highest one that is set in an int64 other than 0.
    leading_zeros = intrinsic(_leading_zeros)


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


def wrapping(kernel: Any) -> Any:
    """A kernel whose words wrap around: compiled ones do anyway, plain Python would warn of it."""
    return np.errstate(over="ignore")(kernel) if INTERPRETED else kernel
