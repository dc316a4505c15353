"""``python -m crash``: play all cases on two workers, print the table, write the paper."""

from __future__ import annotations

import argparse
import multiprocessing
import secrets
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty
from typing import Any

from nexus_reimport import CHECKOUT
from nexus_sandbox.clinic import Clinic, generate
from nexus_sandbox.s3.server import S3Server
from support.clinic import BUCKETS

from . import disk, report
from .cases import KINDS, Case, Reference, every
from .faults import ORDERLY
from .fixture import SCALE, opened
from .trial import Result, play
from .undisturbed import furnish, reference

PAPER = CHECKOUT / "docs" / "crash-matrix.md"
_FORK = multiprocessing.get_context("fork")  # workers begin with what was made up once


def main() -> int:
    """0 if every case went as promised, 1 if not."""
    chosen = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # workers inherit it: servers stop
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="crash-") as place, _storage(Path(place)) as (s3, made):
        results, references, left_out = _played(chosen, Path(place), s3, made)
        small_disk = disk.SmallDisk.is_possible(Path(place) / "disk")
    paper = report.Matrix(
        tuple(results),
        tuple(references),
        chosen.seed,
        time.monotonic() - began,
        chosen.workers,
        left_out=left_out,
        small_disk=small_disk,
    ).paper()
    sys.stdout.write(paper)
    if not chosen.only and not chosen.list:
        PAPER.write_text(paper, encoding="utf-8")
    return 1 if any(result.violations for result in results) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m crash", description=__doc__)
    parser.add_argument("--only", default="", help='part of a case\'s name: "apply/delete × kern"')
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10_000))
    parser.add_argument("--random", type=int, default=40, help="cases at random instants")
    parser.add_argument("--minutes", type=float, default=55, help="begin no case after so many")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="name the cases, play none")
    parser.add_argument("--verbose", action="store_true", help="show what the commands said")
    return parser.parse_args()


@contextmanager
def _storage(place: Path) -> Iterator[tuple[S3Server, Clinic]]:
    made = generate(SCALE)
    with S3Server.start(place / "s3", BUCKETS[:1]) as s3:
        s3.access.fill(BUCKETS[0], made.objects("dev"))
        yield s3, made
        s3.remove()


def _played(
    chosen: argparse.Namespace, place: Path, s3: S3Server, made: Clinic
) -> tuple[list[Result], list[Reference], int]:
    orders: Queue[Any] = _FORK.Queue()
    answers: Queue[Any] = _FORK.Queue()
    workers = [
        _FORK.Process(
            target=_work, args=(place / f"worker-{n}", s3, made, orders, answers), daemon=True
        )
        for n in range(chosen.workers)
    ]
    for worker in workers:
        worker.start()
    references: list[Reference] = _next(answers, workers)
    cases = [c for c in every(references, chosen.seed, chosen.random) if chosen.only in str(c)]
    ending = time.monotonic() + 60 * chosen.minutes
    for case in [] if chosen.list else cases:
        orders.put((case, ending))
    for _ in workers:
        orders.put(None)
    results: list[Result] = []
    if chosen.list:
        sys.stdout.writelines(f"{case}\n" for case in cases)
    left_out = 0
    while not chosen.list and len(results) + left_out < len(cases):
        answer = _next(answers, workers)
        if isinstance(answer, Result):
            results.append(answer)
            _tell(answer, len(results), len(cases), verbose=chosen.verbose)
        left_out += answer is None
    for worker in workers:
        worker.join()
    return results, references, left_out


def _next(answers: Queue[Any], workers: Sequence[BaseProcess]) -> Any:
    """What a worker says next, however long it takes beside other work, while they live."""
    while all(worker.exitcode in (None, 0) for worker in workers):
        with suppress(Empty):
            return answers.get(timeout=5)
    raise RuntimeError("a worker ended before its cases did: its error stands above")


def _work(
    folder: Path, s3: S3Server, made: Clinic, orders: Queue[Any], answers: Queue[Any]
) -> None:
    """One worker: a clinic of its own, case after case."""
    with opened(folder, s3, made) as world:
        furnish(world)
        answers.put([reference(world, kind) for kind in KINDS.values()])
        while order := orders.get():
            case, ending = order
            if time.monotonic() > ending:
                answers.put(None)
                continue
            try:
                brisk = case.point is not None and case.fault in ORDERLY
                answers.put(play(world, case, briskly=brisk))
            except Exception:  # the harness's own fault is a failed case, too
                answers.put(_broken(case, traceback.format_exc()))


def _broken(case: Case, trace: str) -> Result:
    told = f"the harness failed: {trace.splitlines()[-1]}"
    return Result(case, False, None, "", None, (), (told,), 0.0, trace)


def _tell(result: Result, done: int, of: int, *, verbose: bool) -> None:
    verdict = result.verdict or "no run"
    sys.stdout.write(
        f"{done:>4}/{of} {result.seconds:5.1f} s  {result.case}: {result.word}, {verdict}, "
        f"struck at {result.at if result.hit else 'nothing'}, then {', '.join(result.taken)}\n"
    )
    for violation in result.violations:
        sys.stdout.write(f"          VIOLATION {violation}\n")
    if result.violations or verbose:
        sys.stdout.write("".join(f"          | {line}\n" for line in result.said.splitlines()))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
