#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Which branch outcomes were taken, and which were not, and why.

coverage.py COUNTS SOURCE CONFIG LIST FILE PERCENT

COUNTS is gcovr's JSON, SOURCE the kernel tree, CONFIG its .config, LIST what
nothing can take, FILE the one that is judged, e.g. mm/hmm.c. An outcome is known
by its function, the text of its line, and its place among the outcomes of that
line, so that the list holds for kernels in which the line stands elsewhere. Exit
status 1: fewer than PERCENT of those that are not listed were taken, or one was
taken that is listed.
"""
import json
import re
import sys


def read_outcomes(report, source, name):
    """{(function, text, place, of): (line, taken)}"""
    with open(f"{source}/{name}", encoding="utf-8") as file:
        text = [" ".join(line.split()) for line in file]
    starts = sorted((f["lineno"], f["name"]) for f in report["functions"])
    outcomes, seen = {}, {}
    for line in report["lines"]:
        branches, number = line["branches"], line["line_number"]
        if not branches:
            continue
        function = [name for start, name in starts if start <= number][-1]
        what = text[number - 1]
        # the same words twice in one function
        nth = seen[function, what] = seen.get((function, what), 0) + 1
        if nth > 1:
            what += f" #{nth}"
        for i, branch in enumerate(branches, 1):
            outcomes[function, what, i, len(branches)] = (number, branch["count"] > 0)
    return outcomes


def holds(condition, config):
    """[CONFIG_X] or [no CONFIG_X] in front of a reason"""
    words = condition.split()
    return (words[-1] + "=y" in config) == (len(words) == 1)


def read_list(path, config):
    """{(function, text, place, of): reason}, of those whose condition holds"""
    reasons, head, key = {}, None, None
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.startswith("#") or not line.strip():
                continue
            if not line[0].isspace():
                head = line.strip().split(": ", 1)
                if len(head) != 2:
                    sys.exit(f"{path}:{number}: a line is 'function: source line'")
                continue
            outcome = re.fullmatch(r"(\d+)/(\d+)\s+(?:\[(.*?)\]\s*)?(.*)", line.strip())
            if outcome and head:
                key = (head[0], head[1], int(outcome[1]), int(outcome[2]))
                if outcome[3] and not holds(outcome[3], config):
                    key = None
                else:
                    reasons[key] = outcome[4]
            elif key:
                reasons[key] += " " + line.strip()
    return reasons


def show(title, keys, outcomes, reasons, name):
    if not keys:
        return
    print(f"\n{title}")
    for key in sorted(keys, key=lambda k: (outcomes[k][0], k[2])):
        print(f"  {name}:{outcomes[key][0]} {key[0]}: {key[1]}  {key[2]}/{key[3]}")
        if key in reasons:
            print(f"      {reasons[key]}")


def judge(name, report, source, listed, percent):
    """Tells of one file. Return: were enough outcomes taken, and none that is listed?"""
    outcomes = read_outcomes(report, source, name)
    # a kernel that has not the line has not the outcome either
    reasons = {k: why for k, why in listed.items() if k in outcomes}
    taken = {k for k, (_, was) in outcomes.items() if was}
    missing = outcomes.keys() - taken - reasons.keys()
    wrong = reasons.keys() & taken
    reachable = len(outcomes) - len(reasons)
    share = 100 * len(taken - reasons.keys()) / reachable if reachable else 100
    print(f"{name}: branches {len(taken)}/{len(outcomes)} "
          f"({100 * len(taken) / len(outcomes):.1f}%); "
          f"{len(reasons)} listed as unreachable "
          f"({100 * len(reasons) / len(outcomes):.1f}%); "
          f"{share:.1f}% of the others taken, {percent}% wanted")
    show("not taken, and not listed:", missing, outcomes, reasons, name)
    show("listed as unreachable, and taken:", wrong, outcomes, reasons, name)
    show("unreachable:", reasons.keys() - wrong, outcomes, reasons, name)
    return share >= percent and not wrong


def main(counts, source, config, listed, name, percent):
    with open(config, encoding="utf-8") as file:
        options = set(file.read().split("\n"))
    with open(counts, encoding="utf-8") as file:
        report = next(f for f in json.load(file)["files"] if f["file"].endswith(name))
    return 0 if judge(name, report, source, read_list(listed, options), int(percent)) else 1


if __name__ == "__main__":
    if len(sys.argv) != 7:
        sys.exit(__doc__)
    try:
        sys.exit(main(*sys.argv[1:]))
    except (OSError, KeyError, ValueError, StopIteration) as error:
        print(f"coverage.py: {error!r}")
        sys.exit(2)
