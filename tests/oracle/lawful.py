"""Averages under the law's lists, and what rules, orders, furnaces and assessments say of each window.

In:  as averages are asked for (see oracle.py), with "kind": "lawful" and
     "code": of the outlet, "enterprise": {"code", "division", "industry"}, channels with a "factor",
     "rules": with "code" and "factor" in place of "channel",
     "law": {"source_rules", "markings", "marks", "reviews", "exemptions", "lines", "orders", "furnaces", "assessments"}; keys as in
     docs/plant.md, times in seconds, channels by their place
Out: {"averages": {"PERIOD START": [figures, ...]}, "stages": {mark: stage},
      "judged": {"PERIOD START": [[by, code, channel or null, outcome, value, limit, ratio, exemption's answer], ...]},
      "minutes": {"START of an hour": [[state, observed, heard, mark, contesting channel], ...]}}
"""

from decimal import Decimal

import averages
import orders
from averages import LOWER, ORDER, said_by, twelve
from marks import exempts, in_time
from states import States
from zones import window

D = Decimal
FURNACE = "a01901"
JUDGED = ("met", "exceeded", "not-met")


class Judge:
    def __init__(self, case, states):
        self.case, self.law, self.states = case, case["law"], states
        self.rules_said, self.furnaces_said = {}, {}

    def exempt(self, said, factor, hour):
        period, start, end = hour
        if said[0] not in JUDGED or LOWER.get(period) != "minute":
            return [*said, None]
        occupied = self.states.occupied(start, end, averages.needed(period, (end - start) // 60))
        answer = exempts(self.law, self.states.marks, self.case, factor, (start, end), occupied)
        return ["not-judged: exempt", said[1], None, answer] if answer == "exempt" else [*said, answer]

    def rules(self, period, start, end, window_averages):
        for index, channel in enumerate(self.case["channels"]):
            for rule in self.case["rules"]:
                if rule["period"] != period or rule["factor"] != channel["factor"] or not in_time(rule, start):
                    continue
                said = said_by(rule, index, window_averages, self.case)
                outcome, value, ratio, exemption = self.exempt(said, rule["factor"], (period, start, end))
                self.rules_said.setdefault((rule["code"], index), []).append((start, outcome))
                yield ["rule", rule["code"], index, outcome, value, rule["limit"], ratio, exemption]

    def furnaces(self, start, end, window_averages):
        for rule in self.law["furnaces"]:
            if rule["outlet"] != self.case["code"] or not in_time(rule, start):
                continue
            known = lambda places: [window_averages[i].measured for i in places if window_averages[i].valid]
            upper, middle = middle_of(known(rule["upper"])), middle_of(known(rule["middle"]))
            value = None if upper is None or middle is None else twelve((upper + middle) / 2)
            outcome = "not-judged: not valid" if value is None else "not-met" if value < D(rule["below"]) else "met"
            value = None if value is None else str(value)
            outcome, value, _, exemption = self.exempt([outcome, value, None], FURNACE, ("5-minute", start, end))
            self.furnaces_said.setdefault(rule["code"], []).append((start, outcome))
            yield ["furnace", rule["code"], None, outcome, value, rule["below"], None, exemption]

    def furnace_days(self, start, end):
        for rule in self.law["furnaces"]:
            touched = rule["from"] < end and (rule["until"] is None or start < rule["until"])
            said = [what for at, what in self.furnaces_said.get(rule["code"], []) if start <= at < end]
            if rule["outlet"] != self.case["code"] or not touched or not said:
                continue
            events = said.count("not-met")
            outcome = "exceeded" if events > rule["allowed"] else "met"
            if set(said) == {"not-judged: not valid"}:
                outcome = "not-judged: not valid"
            yield ["furnace", rule["code"], None, outcome, str(events), str(rule["allowed"]), None, None]

    def assessments(self, period, start, end):
        for entry in self.law["assessments"]:
            if entry["over"] != period or not in_time(entry, start):
                continue
            for index in range(len(self.case["channels"])):
                said = [what for at, what in self.rules_said.get((entry["rule"], index), []) if start <= at < end]
                if not said:
                    continue
                met = said.count("met")
                judged = met + said.count("exceeded")
                value = None if judged == 0 else str(D(met * 10000 // judged) / 100)
                outcome = "met" if judged and met * 100 >= D(entry["share"]) * judged else "not-met"
                if judged < max(1, entry["at_least"]):
                    outcome = "not-judged: not valid"
                yield ["assessment", entry["code"], index, outcome, value, entry["share"], None, None]


def middle_of(values):
    """Median."""
    if not values:
        return None
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def work_out(case):
    minutes = averages.minutes_of(case)
    states = States(case, minutes)
    levels = averages.levels_of(minutes, case, states.over)
    emitted = averages.levels_of(minutes, case).get("hour", {})
    judge = Judge(case, states)
    judged = {}
    for period in ORDER:
        for start, found in levels.get(period, {}).items():
            end = window(case["zone"], period, start)[1]
            said = list(judge.rules(period, start, end, found))
            if period == "hour":
                said += orders.said(case, states, start, end, found, emitted[start])
            if period == "5-minute":
                said += judge.furnaces(start, end, found)
            if period == "day":
                said += judge.furnace_days(start, end)
            said += judge.assessments(period, start, end)
            judged[f"{period} {start}"] = sorted(said, key=lambda one: (one[0], one[1], -1 if one[2] is None else one[2]))
    return {
        "averages": {f"{p} {s}": [averages.figures(a) for a in found] for p, ws in levels.items() for s, found in ws.items()},
        "stages": {mark["code"]: mark["stage"] for mark in states.marks},
        "judged": judged,
        "minutes": {str(s): [states.told(at) for at in range(s, s + 3600, 60)] for s in levels["hour"]},
    }
