"""What the source was doing, minute by minute, and what lies over minutes because of it, from docs/plant.md alone.

- A test that was beyond its line for its minutes in a row holds, and goes on holding for an hour at most while the value does not
  come back over the release line; a minute without a value, or on the other side of the release line, ends it (the latter: it fails).
- The first state whose tests all hold, and whose predecessor's tests held no longer ago than allowed, is the state; else running.
- A mark in effect says what the state is, except where a signal contests it: a test of the claimed state fails, or the claim is a
  stop and dry oxygen is more than two points below that of air, or the signals prove another state. Then the signals have it.
- Where no signal of a rule says anything, such oxygen still says that the source runs.
- What an instrument shows that the bureau agrees was out of order proves nothing.
- A stopped source goes before an instrument's condition, that before every other state. Stopped minutes do not count in means, but
  their mass does; minutes of an instrument that was out of order count in neither, nor does the mass of any minute whose flow comes
  from such an instrument.
"""

from decimal import Decimal

import marks as all_marks
from zones import window

D = Decimal
MEMORY = 60 * 60
OF_STATE = {"stopped": "F", "start-up": "St", "shut-down": "Sd", "banked-fire": "B", "running": None}
OF_CONDITION = {"calibration": "C", "maintenance": "M", "fault": "D", "no-data": "Md"}


def beyond(test, value, line):
    if test["kind"] == "is":
        return abs(value - D(test["line"])) < D("0.5")
    return value > D(test[line]) if test["kind"] == "above" else value < D(test[line])


class Minute:
    """Everything about one minute: the state, what signals say and whether any said something, its mark, what contests it."""

    def __init__(self, state, observed, heard, mark, contested):
        self.state, self.observed, self.heard, self.mark, self.contested = state, observed, heard, mark, contested

    @property
    def marked(self):
        return self.mark is not None and self.mark["in_effect"] and self.contested is None


class States:
    def __init__(self, case, minutes):
        self.case, self.lists, self.rows = case, case["law"], minutes
        self.marks = all_marks.ruled(self.lists, case["enterprise"], case["code"])
        first, last = min(minutes), max(minutes)
        self.span = range(window(case["zone"], "hour", first)[0], window(case["zone"], "hour", last)[1], 60)
        self.conditions = {}
        self.signals = [self.signal(index) for index in range(len(case["channels"]))]
        self.minutes = {}
        rules = [rule for rule in self.lists["source_rules"] if rule["outlet"] == case["code"]]
        proofs = [self.proofs(rule) for rule in rules]
        for at in self.span:
            number = next((n for n, rule in enumerate(rules) if all_marks.in_time(rule, at)), None)
            rule, proof = (None, None) if number is None else (rules[number], proofs[number])
            self.minutes[at] = self.minute(at, rule, proof)

    def signal(self, index):
        """What a channel says and may be believed, by minute."""
        oxygen = self.case["channels"][index]["role"] == "oxygen"
        said = {}
        for at in self.span:
            conditions = all_marks.of_instrument(self.marks, at, index)
            if conditions:
                self.conditions[at, index] = OF_CONDITION[conditions[-1]["claim"]]
            row = self.rows.get(at)
            value = None if row is None else row[index].dry if oxygen else row[index].measured
            if value is not None and not any(mark["stage"] in ("accepted", "corrected") for mark in conditions):
                said[at] = value
        return said

    def holding(self, test):
        """The minutes in which a test holds: one pass forwards."""
        held, row, earned = set(), 0, None
        said = {} if test["channel"] is None else self.signals[test["channel"]]
        for at in self.span:
            value = said.get(at)
            if value is None or not beyond(test, value, "release"):
                row, earned = 0, None
                continue
            row = row + 1 if beyond(test, value, "line") else 0
            if row >= test["minutes"]:
                earned = at
            if earned is not None and at - earned <= MEMORY:
                held.add(at)
        return held

    def proofs(self, rule):
        """By state the minutes in which all its tests hold."""
        return {entry["state"]: set.intersection(*map(self.holding, entry["tests"])) for entry in rule["states"]}

    def observed(self, at, rule, proof):
        for entry in rule["states"]:
            if at not in proof[entry["state"]]:
                continue
            if entry["after"] is not None:
                before, minutes = entry["after"]
                if proof[before].isdisjoint(range(at - minutes * 60, at, 60)):
                    continue
            return entry["state"]
        return "running"

    def contest(self, claim, at, rule, observed):
        """The channel of the first signal against a claim."""
        entry = next((entry for entry in rule["states"] if entry["state"] == claim), None) if rule else None
        for test in entry["tests"] if entry else []:
            value = None if test["channel"] is None else self.signals[test["channel"]].get(at)
            if value is not None and not beyond(test, value, "release"):
                return test["channel"]
        against = self.burns(at) if claim == "stopped" else None
        if against is None and rule and observed not in ("running", claim):
            # Another state is proven.
            proven = next(entry for entry in rule["states"] if entry["state"] == observed)
            against = proven["tests"][0]["channel"]
        return against

    def burns(self, at):
        """The oxygen channel, where it shows well less than air."""
        index = next((i for i, c in enumerate(self.case["channels"]) if c["role"] == "oxygen"), None)
        value = None if index is None else self.signals[index].get(at)
        return index if value is not None and value < D(self.case["outlet"]["air"]) - 2 else None

    def minute(self, at, rule, proof):
        observed, heard = "running", False
        if rule:
            observed = self.observed(at, rule, proof)
            channels = {test["channel"] for entry in rule["states"] for test in entry["tests"]} - {None}
            heard = any(at in self.signals[channel] for channel in channels)
        if not heard and self.burns(at) is not None:
            observed, heard = "running", True
        mark = all_marks.of_state(self.marks, at)
        contested = self.contest(mark["claim"], at, rule, observed) if mark else None
        believed = mark is not None and mark["in_effect"] and contested is None
        return Minute(mark["claim"] if believed else observed, observed, heard, mark, contested)

    def flow_from(self, at):
        """The channel that a minute's flow comes from."""
        usable = {
            channel["role"]: index
            for index, (channel, average) in reversed(list(enumerate(zip(self.case["channels"], self.rows.get(at, [])))))
            if average.valid and average.dry is not None
        }
        return usable.get("flow", usable.get("velocity"))

    def over(self, at, index):
        """(status in place of the minute's own, whether it counts, whether its mass does)"""
        state, condition = self.minutes[at].state, self.conditions.get((at, index))
        weighs = condition is None and (at, self.flow_from(at)) not in self.conditions
        if state == "stopped":
            return "F", False, weighs
        if condition is not None:
            return condition, False, False
        return OF_STATE[state], True, weighs

    def occupied(self, start, end, needed):
        """(the state that fills the window, whether all of it is marked, whether anything is contested)"""
        minutes = [self.minutes[at] for at in range(start, end, 60)]
        contested = any(minute.contested is not None for minute in minutes)
        for state in ("stopped", "start-up", "shut-down", "banked-fire"):
            those = [minute for minute in minutes if minute.state == state]
            if len(those) >= needed:
                return state, all(minute.marked for minute in those), contested
        return "running", False, contested

    def told(self, at):
        """For the comparison: state, what is observed, whether by a signal, mark, what contests it."""
        minute = self.minutes[at]
        return [minute.state, minute.observed, minute.heard, minute.mark and minute.mark["code"], minute.contested]
