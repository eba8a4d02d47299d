"""Speed and learning, measured. `python -m benchmarks` runs all of them, `python -m benchmarks throughput` one.

Every speed is printed beside something else run in the same minute on the same machine. docs/results.md keeps the last
results.
"""
