"""Writes numpy_trailing.json: the rows that diffusers' "trailing" spacing visits, as numpy makes them.

    pip install numpy && python3 testdata/record_trailing.py > testdata/numpy_trailing.json

Rows of a table of T rows in n steps: round(arange(T, 0, -T/n)) - 1, whole numbers. At some n numpy's
arange has an element more than n, at row -1; it is left out here.
"""

import json
import sys

import numpy

CASES = [(1000, n) for n in (10, 48, 61, 96, 103, 112, 121, 144, 176, 192)] + [(100, 48), (37, 11)]


def rows(table, steps):
    points = numpy.round(numpy.arange(table, 0, -table / steps)) - 1
    assert all(points[steps:] == -1)
    return [int(row) for row in points[:steps]]


cases = [{"table": table, "steps": steps, "rows": rows(table, steps)} for table, steps in CASES]
json.dump(cases, sys.stdout)
print()
