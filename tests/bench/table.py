#!/usr/bin/env python3
"""Prints what sync-bench measured as the tables of docs/performance.md. Given several files (or lines), each
figure is the median of theirs.

  table.py FILE...                 print the tables
  table.py --write PAGE FILE...    put them into the page, between its lines <!-- measured: NAME --> and
                                   <!-- end -->; NAME is targets or figures
"""

import json
import statistics
import sys

MS, KIB = 1000, 1024  # microseconds, and KiB of a MiB


def median(values):
    """Of figures, or of objects and lists of figures with the same shape."""
    first = values[0]
    if isinstance(first, dict):
        return {key: median([v[key] for v in values if key in v]) for key in first}
    if isinstance(first, list):
        return [median(list(column)) for column in zip(*values)]
    return first if isinstance(first, str) else statistics.median(values)


def number(value, decimals=0):
    return f"{value:,.{decimals}f}"


def cell(row, key, decimals, divisor):
    value = row.get(key, "")
    return value if isinstance(value, str) else number(value / divisor, decimals)


def lines_of(columns, rows):
    """columns: (title, key, decimals, divisor); rows: objects."""
    yield "| " + " | ".join(title for title, *_ in columns) + " |"
    yield "|" + "---:|" * len(columns)
    for row in rows:
        yield "| " + " | ".join(cell(row, *column) for _, *column in columns) + " |"


def named(part):
    """Objects under names: rows that begin with the name."""
    return [{"name": key.replace("_", " "), **value} for key, value in part.items() if isinstance(value, dict)]


def latencies(prefix, title, decimals=1):
    return [(f"{title} p50 ms", f"{prefix}_p50_us", decimals, MS), (f"p99 ms", f"{prefix}_p99_us", decimals, MS)]


def starts(report):
    for title, key in [("empty", "empty_start"), (None, "start"), (None, "big")]:
        if key in report and "ready_ms" in report[key]:
            yield {"name": title or f"{number(report[key]['store_megabytes'])} MB", **report[key]}


APPLY = [("transactions a message", "transactions_per_message", 0, 1), ("connections", "connections", 0, 1),
         ("databases", "databases", 0, 1), ("transactions/s", "transactions_per_s", 0, 1),
         *latencies("ack", "ack"), ("p99.9 ms", "ack_p99_9_us", 1, MS),
         ("transactions a sync", "transactions_per_sync", 1, 1),
         ("server CPU µs/tx", "server_cpu_us_per_transaction", 1, 1),
         ("raw LevelDB tx/s", "raw_leveldb_transactions_per_s", 0, 1),
         ("raw CPU µs/tx", "raw_cpu_us_per_transaction", 1, 1), ("ratio", "ratio_to_raw", 2, 1)]
PUSH = [("receivers", "receivers", 0, 1), *latencies("spaced", "now and then:"),
        *latencies("one_at_a_time", "one after the other:"), ("deliveries/s, 256 under way", "deliveries_per_s", 0, 1),
        *latencies("many", ""), ("server CPU µs/delivery", "server_cpu_us_per_delivery", 1, 1),
        ("raw sends/s", "raw_sends_per_s", 0, 1), ("ratio", "ratio_to_raw", 2, 1)]
POLL = [("", "name", 0, 1), ("round trip p50 µs", "round_trip_p50_us", 0, 1), ("p99 µs", "round_trip_p99_us", 0, 1),
        ("server CPU µs", "server_cpu_us", 0, 1)]
READ = [("", "name", 0, 1), ("MB", "megabytes", 1, 1), ("MB/s", "megabytes_per_s", 0, 1),
        ("server CPU ms/MB", "server_cpu_ms_per_megabyte", 1, 1), ("MB/s of one core", "of_one_core", 0, 1),
        ("waited for a core, ms/MB", "waited_for_a_cpu_ms_per_megabyte", 1, 1)]
START = [("store", "name", 0, 1), ("ready ms", "ready_ms", 0, 1), ("of it CPU ms", "cpu_ms", 0, 1),
         ("waited for a core, ms", "waited_for_a_cpu_ms", 0, 1), ("resident MiB", "resident_kib", 1, KIB),
         ("of it private MiB", "private_kib", 1, KIB)]
IDLE = [("connections", "connections", 0, 1), ("opened/s", "opened_per_s", 0, 1),
        ("resident before MiB", "resident_before_kib", 1, KIB), ("KiB a connection", "kib_per_connection", 2, 1)]
STALLED = [("", "name", 0, 1), ("deliveries/s", "deliveries_per_s", 0, 1),
           *latencies("write_to_receive", "write to receive")]
STALLED_COST = [("stalled clients", "clients", 0, 1), ("receivers", "receivers", 0, 1), ("lagging", "lagging", 0, 1),
                ("rate with, of without", "ratio_with_to_without", 2, 1),
                ("server's KiB a client", "resident_kib_per_client", 0, 1),
                ("kernel's KiB a client", "kernel_kib_per_client", 0, 1)]
FAIRNESS = [("16 small databases", "name", 0, 1), ("acks/s", "acks_per_s", 0, 1), *latencies("ack", "ack"),
            ("p99.9 ms", "ack_p99_9_us", 1, MS), ("the other does", "other", 0, 1)]
STORM = [("clients", "clients", 0, 1), ("databases", "databases", 0, 1), ("half live after ms", "live_p50_us", 0, MS),
         ("all live after ms", "all_live_ms", 0, 1), ("server CPU µs a client", "server_cpu_us_per_client", 0, 1),
         ("resident before MiB", "resident_before_kib", 1, KIB), ("at most MiB", "peak_kib", 1, KIB)]
BIG = [("snapshot MB", "snapshot_megabytes", 0, 1), ("read at MB/s", "read_at_megabytes_per_s", 0, 1),
       ("private before MiB", "private_before_kib", 1, KIB), ("at most MiB", "private_peak_kib", 1, KIB),
       ("resident before MiB", "resident_before_kib", 1, KIB), ("at most MiB", "resident_peak_kib", 1, KIB)]
HOOKS = [("transactions a message", "transactions_per_message", 0, 1), ("connections", "connections", 0, 1),
         ("transactions/s without", "transactions_per_s", 0, 1), ("with", "transactions_per_s_with_hooks", 0, 1),
         ("ratio", "ratio_of_rates", 2, 1), ("server CPU µs/tx without", "server_cpu_us_per_transaction", 1, 1),
         ("with", "server_cpu_us_per_transaction_with_hooks", 1, 1), ("ratio", "ratio_of_cpu", 2, 1)]


def read_rows(part):
    return [{**row, "of_one_core": 1000 / row["server_cpu_ms_per_megabyte"]} for row in named(part)]


def fairness_rows(part):
    for row in named(part):
        for key, unit in [("heavy_transactions_per_s", "transactions/s"), ("backlog_transactions_per_s", "transactions/s"),
                          ("backlog_megabytes_per_s", "MB/s")]:
            if key in row:
                row["other"] = f"{number(row[key])} {unit}"
        yield row


# Heading, part of the report, columns, how its rows are found, and what the reader has to know.
FIGURES = [
    ("Apply, with fsync", "apply", APPLY, list,
     "All connections of a row write to one database, or to one each in the last row, with the same site id, so\n"
     "that nothing is pushed."),
    ("Push: one writer", "fanout", PUSH, list,
     "Now and then: a transaction each 200 ms, to clients that have read the one before. One after the other: the\n"
     "next is written when all have read the last, so it waits for the pause after it. The ratio of one receiver\n"
     "compares synced writes with bare sends, and means nothing."),
    ("Polls with nothing new", "poll", POLL, named, ""),
    ("Whole deltas and snapshots", "read", READ, read_rows, ""),
    ("Starting", None, START, starts, "What comes after a crash has up to 4 MiB of log a shard to replay."),
    ("At rest", "idle", IDLE, lambda part: [part], "Connections that have shaken hands and say nothing."),
    ("Clients that stopped reading", "stalled", STALLED, named,
     "One writer, and receivers that read, all in one database. \"With\": beside clients that read nothing, all of\n"
     "them lagging."),
    ("What they cost", "stalled", STALLED_COST, lambda part: [part], ""),
    ("Fairness", "fairness", FAIRNESS, fairness_rows,
     "16 clients, each with a small database, write a transaction, wait for its ack, and 10 ms more. Beside them:\n"
     "8 connections that write messages of 100 transactions to one database as fast as they are acknowledged; one\n"
     "client that brings a backlog of such messages, 16 at a time, or of messages of 1,000; one that fetches a whole\n"
     "database again and again."),
    ("A reconnect storm", "storm", STORM, lambda part: [part],
     "All clients come back at once after a restart, each a few transactions behind."),
    ("A large snapshot to a slow client", "big", BIG, lambda part: [part], "Private: without LevelDB's mapped tables."),
    ("Three hooks that only approve", "hooks", HOOKS, list, "In turns, on two servers that differ in nothing else."),
]


def figures(report):
    machine = report.get("machine")
    if machine:
        yield (f"{number(machine['processors'])} processors; load average {number(machine['load_at_start'], 1)} before "
               f"the run, {number(machine['load_at_end'], 1)} at its end.")
        yield ""
    for heading, part, columns, rows, note in FIGURES:
        if part is not None and part not in report:
            continue
        found = list(rows(report if part is None else report[part]))
        if not found:
            continue
        yield from [f"### {heading}", "", *lines_of(columns, found), ""]
        if note:
            yield from [*note.split("\n"), ""]


def reached(values, aim, most=False):
    good = [v <= aim if most else v >= aim for v in values]
    return "yes" if all(good) else "no" if not any(good) else f"{sum(good)} of {len(good)}"


def target(what, aim, values, decimals, unit="", most=False):
    shown = " / ".join(number(v, decimals) for v in values)
    limit = ("at most " if most else "") + number(aim, decimals if aim != int(aim) else 0)
    return f"| {what} | {limit}{unit} | {shown}{unit} | {reached(values, aim, most)} |"


def targets(report):
    def apply_rows(transactions, connections=None):
        return [r["ratio_to_raw"] for r in report.get("apply", []) if r["transactions_per_message"] == transactions
                and (connections is None or r["connections"] == connections) and r["databases"] == 1]

    def wanted():
        yield "messages of 100 transactions, of raw LevelDB (1 / 16 / 256 connections)", 0.5, apply_rows(100), 2
        yield "small messages of 256 connections, of raw LevelDB", 0.3, apply_rows(1, 256), 2
        yield ("push to 1,000 receivers, of bare `send()`", 0.6,
               [r["ratio_to_raw"] for r in report.get("fanout", []) if r["receivers"] == 1000], 2)
        yield ("poll with nothing new, server's processor time", 100,
               [r["server_cpu_us"] for r in report.get("poll", {}).values()], 0, " µs", True)
        yield ("delta / snapshot, over WebSocket and HTTP each", 150,
               [r["megabytes_per_s"] for r in report.get("read", {}).values()], 0, " MB/s")
        yield ("idle connection", 6, [report["idle"]["kib_per_connection"]] if "idle" in report else [], 2, " KiB", True)
        yield ("resident when idle", 20, [report["empty_start"]["resident_kib"] / KIB] if "empty_start" in report else [],
               1, " MiB", True)
        sizes = [r["name"] for r in starts(report)]
        yield (f"ready after the start ({' / '.join(sizes)})", 100, [r["ready_ms"] for r in starts(report)], 0, " ms", True)
        big = report.get("big", {})
        yield ("growth of the server's memory while a large snapshot streams to a slow client", 16,
               [(big["private_peak_kib"] - big["private_before_kib"]) / KIB] if "private_peak_kib" in big else [], 1,
               " MiB", True)
        yield ("rate beside clients that stopped reading, of the rate without", 0.9,
               [report["stalled"]["ratio_with_to_without"]] if "stalled" in report else [], 2)

    yield from ["| | aim | measured | reached |", "|---|---:|---:|---|"]
    yield from (target(*row) for row in wanted() if row[2])


def write(page, sections):
    out, skipping = [], False
    for line in open(page).read().split("\n"):
        if line == "<!-- end -->":
            skipping = False
        if not skipping:
            out.append(line)
        if line.startswith("<!-- measured: "):
            out += ["", *sections[line.split()[2]], ""]
            skipping = True
    open(page, "w").write("\n".join(out))


def main(arguments):
    page = arguments[1] if arguments[:1] == ["--write"] else None
    paths = arguments[2:] if page else arguments
    if not paths:
        sys.exit(__doc__)
    report = median([json.loads(line) for path in paths for line in open(path) if line.strip()])
    sections = {"targets": list(targets(report)), "figures": list(figures(report))}
    for lines in sections.values():
        while lines and lines[-1] == "":
            lines.pop()
    if page:
        write(page, sections)
    else:
        print("\n".join(["", "### Targets", "", *sections["targets"], "", *sections["figures"]]))


if __name__ == "__main__":
    main(sys.argv[1:])
