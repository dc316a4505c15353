"""How costs grow with the size of a clinic, as exponents: 1 is linear, 2 is quadratic."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from benchmarks.meter import Cost


def exponent(small: float, large: float, times: float) -> float:
    """The power of ``times`` by which ``large`` exceeds ``small``."""
    return math.log(large / small) / math.log(times)


def exponents(costs: Iterable[Cost], measure: str = "all_cpu") -> dict[str, float]:
    """Name -> the exponent between the smallest and the largest scale at which it was measured."""
    by_name: dict[str, dict[float, float]] = {}
    for cost in costs:
        if (value := float(getattr(cost, measure))) > 0:
            by_name.setdefault(cost.name, {})[cost.scale] = value
    return {name: _of(values) for name, values in by_name.items() if len(values) > 1}


def _of(values: Mapping[float, float]) -> float:
    small, large = min(values), max(values)
    return exponent(values[small], values[large], large / small)
