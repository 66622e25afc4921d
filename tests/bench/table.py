#!/usr/bin/env python3
"""Prints the JSON object of sync-bench as tables for people. Given several files (or lines), each figure is
the median of theirs: table.py FILE..."""

import json
import statistics
import sys


def median(values):
    """Of figures, or of objects and lists of figures with the same shape."""
    first = values[0]
    if isinstance(first, dict):
        return {key: median([v[key] for v in values if key in v]) for key in first}
    if isinstance(first, list):
        return [median(list(column)) for column in zip(*values)]
    return first if isinstance(first, str) else statistics.median(values)


def text(value):
    if isinstance(value, float):
        return f"{value:,.3f}" if value < 10 else f"{value:,.1f}" if value < 1000 else f"{value:,.0f}"
    return f"{value:,}"


def table(title, rows):
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[key.replace("_", " ") for key in columns]]
    cells += [[row[key] if isinstance(row.get(key), str) else text(row[key]) if key in row else "" for key in columns]
              for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    print(f"\n{title}\n")
    for number, line in enumerate(cells):
        print("| " + " | ".join(cell.rjust(width) for cell, width in zip(line, widths)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|")


def main(paths):
    reports = [json.loads(line) for path in paths for line in open(path) if line.strip()]
    for name, part in median(reports).items():
        if isinstance(part, list):
            table(name, part)
            continue
        parts = [{"what": key.replace("_", " "), **value} for key, value in part.items() if isinstance(value, dict)]
        figures = {key: value for key, value in part.items() if not isinstance(value, dict)}
        if figures:
            table(name, [figures])
        if parts:
            table(name, parts)


if __name__ == "__main__":
    main(sys.argv[1:])
