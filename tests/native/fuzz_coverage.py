"""Requests that a fuzzer invents as it follows coverage: both decoders must make the same of each.

A fuzzer sees Python and not compiled code, so the kernels run without the JIT here; what it finds new goes
into a folder, whose small ones belong in ``tests/data/otlp_corpus``: `fuzz_scan` and the tests take it from
there through the compiled scan. It needs ``pip install atheris``, and takes libFuzzer's options:

    python tests/native/fuzz_coverage.py FOLDER -max_total_time=600 -max_len=2000
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from random import Random

os.environ["NUMBA_DISABLE_JIT"] = "1"
_ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(_ROOT / folder) for folder in ("ingest", "storage", "native", "tests")]

import atheris  # noqa: E402  # the paths come first

with atheris.instrument_imports(include=["tracescape_native"]):
    import tracescape_native.otlp_traces
    import tracescape_native.span_columns  # noqa: F401  # to be followed

from support import decoders, wild_otlp  # noqa: E402
from tracescape_ingest.fast_spans import FastSpans  # noqa: E402
from tracescape_storage.attribute_columns import WELL_KNOWN  # noqa: E402

_CORPUS = _ROOT / "tests" / "data" / "otlp_corpus"


def both_agree(data: bytes) -> None:
    """With every column that there can be, and from none, as in a store that has just been made."""
    decoders.fast_spans = lambda: _LEARNED
    decoders.assert_same(data)
    if len(data) % 4 == 0:
        fresh = FastSpans(decoders.SEED, lambda: decoders.COLUMNS)
        decoders.fast_spans = lambda: fresh
        decoders.assert_same(data)


def mutate(data: bytes, size: int, seed: int) -> bytes:
    """By the rules of `wild_otlp`, or by libFuzzer's own."""
    random = Random(seed)
    mutant = wild_otlp.mutated(random, data) if random.random() < 0.5 else atheris.Mutate(data, size)
    return bytes(mutant[:size])


def main() -> None:
    folder = next((Path(each) for each in sys.argv[1:] if not each.startswith("-")), None)
    if folder is not None and not any(folder.iterdir()):
        for path in _CORPUS.glob("*.bin"):
            (folder / path.name).write_bytes(path.read_bytes())
        for seed in range(200):
            message = wild_otlp.wild_request(Random(seed), (0.0, 0.02, 0.1, 0.3)[seed % 4])
            (folder / f"seed{seed}").write_bytes(message[:2000])
    atheris.Setup(sys.argv, both_agree, custom_mutator=mutate)
    atheris.Fuzz()


_LEARNED = FastSpans(decoders.SEED, lambda: WELL_KNOWN | decoders.COLUMNS)

if __name__ == "__main__":
    main()
