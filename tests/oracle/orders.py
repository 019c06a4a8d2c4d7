"""What orders say of an hour that begins in their time, from docs/plant.md alone. No exemption is about orders.

- Stop: the first threshold that is passed is the exceedance. Else the minutes in which the source is known not to be stopped are,
  if there are any: known is what a signal of the source rule, oxygen well below air, a mark in effect or a contested mark speaks of. Kept, when something
  was known and nothing of it spoke of running.
- Reduce: the rate above reference x (1 - percent).
- Both look at what was emitted in the hour, whatever the source is said to have done.
- Limit: like a rule on hourly means.
"""

from decimal import Decimal

from averages import flow_of, said_by, twelve
from marks import in_time

D = Decimal
UNKNOWN = "not-judged: not valid"


def concerns(order, case):
    kind, code = order["scope"]
    if kind == "line":
        return any(line["code"] == code and case["code"] in line["outlets"] for line in case["law"]["lines"])
    return code == (case["code"] if kind == "outlet" else case["enterprise"]["code"])


def places(case, factor):
    return [index for index, channel in enumerate(case["channels"]) if channel["factor"] == factor]


def rate(measure, case, averages):
    kind, what = measure
    if kind == "flow":
        return flow_of(averages, case["channels"])
    if kind == "channel":
        return averages[what].measured if averages[what].valid else None
    masses = [averages[index].mass for index in places(case, what) if averages[index].valid]
    known = [mass for mass in masses if mass is not None]
    return twelve(D(known[0]) / 1000000) if known else None


def against(value, allowed):
    """[outcome, value, limit, ratio]"""
    if value is None:
        return [UNKNOWN, None, str(allowed), None]
    if value <= allowed:
        return ["met", str(value), str(allowed), None]
    return ["exceeded", str(value), str(allowed), str(twelve(value / allowed - 1)) if allowed else None]


def stop(order, case, minutes, averages):
    looked = [against(rate(measure, case, averages), D(above)) for measure, above in order["thresholds"]]
    passed = [one for one in looked if one[0] == "exceeded"]
    if passed:
        return passed[0]
    known = [minute for minute in minutes if minute.heard or minute.marked or minute.contested is not None]
    if not known and all(one[0] == UNKNOWN for one in looked):
        return [UNKNOWN, None, "0", None]
    ran = sum(minute.state != "stopped" for minute in known)
    return ["exceeded" if ran else "met", str(ran), "0", None]


def said(case, states, start, end, averages, emitted):
    for order in case["law"]["orders"]:
        if not (concerns(order, case) and in_time(order, start)):
            continue
        if order["demand"] == "limit":
            for index in places(case, order["pollutant"]):
                outcome, value, ratio = said_by(order, index, averages, case)
                yield ["order", order["code"], index, outcome, value, order["limit"], ratio, None]
            continue
        if order["demand"] == "stop":
            minutes = [states.minutes[at] for at in range(start, end, 60)]
            index, found = None, stop(order, case, minutes, emitted)
        else:
            kind, what = order["measure"]
            index = {"flow": None, "channel": what, "mass": next(iter(places(case, what)), None)}[kind]
            allowed = twelve(D(order["reference"]) * (1 - D(order["percent"]) / 100))
            found = against(rate(order["measure"], case, emitted), allowed)
        yield ["order", order["code"], index, *found, None]
