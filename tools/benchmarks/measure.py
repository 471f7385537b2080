"""What the benchmarks share: interleaved times and peak memory."""

import statistics
import time
from collections.abc import Callable, Mapping

from torch.profiler import ProfilerActivity, profile


def interleaved_ms(
    contestants: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, list[float]]:
    """Milliseconds of each contestant in each round, all in turn, after one call that is not counted.

    A busy machine slows all of them alike, so that ratios mean something where times do not.
    """
    for run in contestants.values():
        run()
    times_ms: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            start_s = time.perf_counter()
            run()
            times_ms[name].append((time.perf_counter() - start_s) * 1e3)
    return times_ms


def ratio(times_ms: Mapping[str, list[float]], one: str, other: str) -> float:
    """Median over the rounds of the time of ``one`` divided by that of ``other``."""
    pairs = zip(times_ms[one], times_ms[other], strict=True)
    return round(statistics.median(a / b for a, b in pairs), 3)


def peak_bytes(run: Callable[[], object]) -> int:
    """How far memory allocated by PyTorch on the CPU rises during a call; call it once before, to compile."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        run()
    changes = [e for e in recorded.profiler.kineto_results.events() if e.name() == "[memory]"]
    allocated = peak = 0
    for event in sorted(changes, key=lambda event: event.start_ns()):
        allocated += event.nbytes()
        peak = max(peak, allocated)
    return peak
