"""Measures the package against what a person would write by hand, on one machine, in one run.

    python -m benchmarks --scales 1,10          everything; writes docs/performance.md
    python -m benchmarks.stages --scale 1       the stages of a run
    python -m benchmarks.floors --scale 1       what the same work costs without the package
    python -m benchmarks.many --scale 1,100     memory of two parts at many times the real size
    python -m benchmarks.guard                  ratios that must not become worse; under two minutes
    python -m benchmarks.report                 docs/performance.md anew, from the kept figures

Each makes a clinic of its own in a temporary folder, and removes it.
"""
