"""Coverage-guided fuzzing of everything that reads what is not trusted, as long as asked.

    python tests/benchmarks/fuzz_parsers.py --seconds 3600          # all targets, in turn
    python tests/benchmarks/fuzz_parsers.py --seconds 300 --only otio

Needs `pip install atheris`. Each target runs in a process of its own for its share of the
time. Ends with a line a target: runs, and the file of a fault where one was found.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


_HANGS_S = 120
"""By the clock: on a machine with twenty programs, a child that needs 0.1 s took 21."""


def _fuzz(name: str, folder: Path, seconds: int) -> None:
    """Be the process of one target."""
    import atheris

    with atheris.instrument_imports(include=["lipcore", "yaml"]):
        from fuzz.targets import make_targets

        target = make_targets()[name]
        for seed in target.seeds:  # imports what it needs, instrumented
            _read(target, seed, folder)

    corpus = folder / "corpus"
    corpus.mkdir()
    for index, seed in enumerate(target.seeds):
        (corpus / str(index)).write_bytes(seed)
    atheris.Setup(
        [name, str(corpus), f"-max_total_time={seconds}", f"-timeout={_HANGS_S}",
         "-rss_limit_mb=3000", "-max_len=20000", f"-artifact_prefix={folder}/fault-"],
        lambda content: _read(target, content, folder),
    )  # fmt: skip
    atheris.Fuzz()


def _read(target: object, content: bytes, folder: Path) -> None:
    from lipcore.errors import LipcoreError

    path = folder / f"given{target.suffix}"  # type: ignore[attr-defined]
    path.write_bytes(content)
    with contextlib.suppress(LipcoreError):
        target.read(path)  # type: ignore[attr-defined]


def main() -> None:
    """Fuzz the targets one after another."""
    from fuzz.targets import make_targets

    names = list(make_targets())
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--only", choices=names, action="append")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        _fuzz(given.worker[0], Path(given.worker[1]), given.seconds)
        return
    wanted = given.only or names
    faults = 0
    for name in wanted:
        folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
        ended = subprocess.run(
            [sys.executable, __file__, "--seconds", str(given.seconds // len(wanted)),
             "--worker", name, str(folder)], capture_output=True, text=True, errors="replace",
        )  # fmt: skip
        done = re.findall(r"Done (\d+) runs", ended.stderr)
        found = sorted(p.name for p in folder.glob("fault-*"))
        faults += bool(ended.returncode)
        print(f"{name:<14} {done[0] if done else '?':>9} runs, exit {ended.returncode}"
              + (f", {folder / found[0]}" if found else ""), flush=True)
        if ended.returncode:
            print("\n".join(ended.stderr.splitlines()[-25:]), flush=True)
    sys.exit(faults > 0)


if __name__ == "__main__":
    main()
