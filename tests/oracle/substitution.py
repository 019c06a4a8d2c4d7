"""Works out a quarter of one pollutant once more: capture rate and substituted masses, from HJ 75-2017 tables 5 and 6.

In:  {"kind": "quarter", "zone": NAME, "at": any second of the quarter, "analyser": code,
      "plans": [{"analyser": code, "kind": code, "every_hours": int, "from": seconds, "until": null or seconds}, ...],
      "checks": [{"analyser": code, "kind": code, "at": seconds, "result": "passed" | "failed"}, ...],
      "hours": [[start in seconds, status of HJ 76-2017, valid, mass in mg or null], ...]}   of the quarter and before, any order
Out: {"out_of_control": [[analyser, kind, cause, from, until or null, last good check or null], ...],
      "out": [[start of an hour of the quarter that is out of control, last good check or null], ...],
      "hours": int, "stopped": int, "invalid": int, "rate": per cent with two decimals or null,
      "substitutes": [[start, "table-5" | "table-6", mass, hour it is from, looked back on, to look back on, hours of the gap], ...],
      "without": [start, ...], "measured": mg as text, "substituted": mg as text}

Tables 5 and 6, as read here:
- a = valid hours / (hours - hours in which the source was stopped), of the hours of the quarter that were handed in.
- Table 5 is about hours out of control and looks back from the last good check; table 6 is about all others that are not valid
  and looks back from the beginning of the gap. So does table 5 where there never was a good check.
- N is the number of consecutive hours, by whichever table, that have no valid mass, also where they began in an earlier quarter.
- The substitute is the largest mass of the last so many valid hours that had ended by then; of equal ones the newest.
"""

from decimal import ROUND_DOWN, Decimal

import checks
from zones import window

HOUR = 3600


def class_of(hour, is_out):
    _, status, valid, mass = hour
    if status == "F":
        return "stopped"
    if is_out:
        return "table-5"
    return "valid" if valid and mass is not None else "table-6"


def how_far_back(a, consecutive):
    """How many valid hours to look back on; none: there is no substitute."""
    if a >= 90:
        return 180 if consecutive <= 24 else 720
    return 2160 if a >= 75 else None


def beginning(classes, start):
    while classes.get(start - HOUR) in ("table-5", "table-6"):
        start -= HOUR
    return start


def ending(classes, start):
    while classes.get(start) in ("table-5", "table-6"):
        start += HOUR
    return start


def largest(valid, until, count):
    """Of the last `count` valid hours that ended by `until`: (mass, start) of the largest, and how many there were."""
    best, taken = None, 0
    for start in reversed(valid):
        if taken == count:
            break
        if start + HOUR > until:
            continue
        taken += 1
        if best is None or valid[start] > best[0]:
            best = valid[start], start
    return best, taken


def work_out(question):
    begin, end = window(question["zone"], "quarter", question["at"])
    spans = checks.out_of_control(question["plans"], question["checks"])
    hours = {hour[0]: hour for hour in sorted(question["hours"])}
    last_good, classes = {}, {}
    for start, hour in hours.items():
        is_out, last_good[start] = checks.out_at(spans, question["analyser"], start)
        classes[start] = class_of(hour, is_out)
    valid = {start: hours[start][3] for start in hours if classes[start] == "valid"}
    quarter = [start for start in hours if begin <= start < end]

    count = lambda *wanted: sum(classes[start] in wanted for start in quarter)
    running = len(quarter) - count("stopped")
    a = 100 * Decimal(count("valid")) / running if running else None

    substitutes, without, measured, found = [], [], 0, {}
    for start in quarter:
        substitute = None
        if classes[start] in ("table-5", "table-6"):
            failure, end_of_gap = beginning(classes, start), ending(classes, start)
            consecutive = (end_of_gap - failure) // HOUR
            back = how_far_back(a, consecutive)
            until = failure
            if classes[start] == "table-5" and last_good[start] is not None:
                until = last_good[start]
            if back is not None:
                if (until, back) not in found:
                    found[until, back] = largest(valid, until, back)
                best, looked = found[until, back]
                if best is not None:
                    substitute = [start, classes[start], *best, looked, back, consecutive]
            if substitute is None:
                without.append(start)
        if substitute is None:
            measured += hours[start][3] or 0
        else:
            substitutes.append(substitute)
    return {
        "out_of_control": spans,
        "out": [[start, last_good[start]] for start in quarter if classes[start] == "table-5"],
        "hours": len(quarter), "stopped": count("stopped"), "invalid": count("table-5", "table-6"),
        "rate": None if a is None else str(a.quantize(Decimal("0.01"), rounding=ROUND_DOWN)),
        "substitutes": substitutes, "without": without,
        "measured": str(measured), "substituted": str(sum(substitute[2] for substitute in substitutes)),
    }
