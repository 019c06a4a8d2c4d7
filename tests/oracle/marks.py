"""Marks under their reviews and marking rules, and the hours that exemptions leave, from docs/plant.md alone.

- The newest review decides: accepted and rejected as marked, corrected as the bureau puts it.
- Without a review a mark waits, unless a marking rule of its industry and place, in force when its time begins, lets marks
  count at once. Under such a rule one that was made later than the deadline after its end is late.
- In effect are in-force, accepted and corrected ones; but what claims again what was rejected waits for a review.
- An exemption's hours are all that marks in effect claim of its states, in the order of the calendar, from the beginning of the
  calendar year to the end of the hour; what is claimed twice counts once.
"""

from zones import window

STATES = {"running", "start-up", "shut-down", "banked-fire", "stopped"}
IN_EFFECT = {"in-force", "accepted", "corrected"}


def in_time(entry, at):
    return entry["from"] <= at and (entry["until"] is None or at < entry["until"])


def concerns(entry, enterprise):
    return enterprise["division"].startswith(entry["division"]) and enterprise["industry"].startswith(entry["industry"])


def stage_without_review(mark, markings):
    for marking in markings:
        if in_time(marking, mark["from"]):
            if mark["made_at"] - mark["until"] > marking["deadline_hours"] * 3600:
                return "late"
            return "in-force" if marking["effect"] == "at-once" else "pending"
    return "pending"


def ruled(lists, enterprise, outlet):
    """Every mark of the outlet as it stands: its code, stage, claim, channel, time and when it was made."""
    markings = [marking for marking in lists["markings"] if concerns(marking, enterprise)]
    standing = []
    for mark in lists["marks"]:
        if mark["outlet"] != outlet:
            continue
        mark = dict(mark, stage=stage_without_review(mark, markings))
        reviews = sorted((review for review in lists["reviews"] if review["mark"] == mark["code"]), key=lambda r: r["at"])
        if reviews:
            mark["stage"] = reviews[-1]["decision"]
            if mark["stage"] == "corrected":
                mark.update({key: reviews[-1][key] for key in ("claim", "from", "until")})
        mark["reviewed"] = bool(reviews)
        standing.append(mark)
    for mark in standing:
        if mark["stage"] == "in-force" and any(same_again(mark, other) for other in standing):
            mark["again"] = True
    for mark in standing:
        if mark.pop("again", False):
            mark["stage"] = "pending"
        mark["in_effect"] = mark["stage"] in IN_EFFECT
    return standing


def same_again(mark, other):
    """Claimed again after it was rejected: the same kind of claim of the same instrument over some of the same time."""
    if other["stage"] != "rejected" or (mark["claim"] in STATES) != (other["claim"] in STATES):
        return False
    if None not in (mark["channel"], other["channel"]) and mark["channel"] != other["channel"]:
        return False
    return mark["from"] < other["until"] and other["from"] < mark["until"]


def of_state(marks, minute):
    """The mark about the source's state: one in effect before all others, then a reviewed one, then the newest; rejected ones are as if
    not made."""
    found = [m for m in marks if m["claim"] in STATES and m["stage"] != "rejected" and in_time(m, minute)]
    return max(found, key=lambda m: (m["in_effect"], m["reviewed"], m["made_at"])) if found else None


def of_instrument(marks, minute, channel):
    """The marks in effect about the instrument of a channel, newest last."""
    found = [m for m in marks if m["claim"] not in STATES and m["in_effect"] and in_time(m, minute)]
    return sorted((m for m in found if m["channel"] in (None, channel)), key=lambda m: m["made_at"])


def seconds_claimed(marks, states, begin, end):
    """By sweeping over all beginnings and ends."""
    steps = []
    for mark in marks:
        if mark["in_effect"] and mark["claim"] in states and mark["from"] < end and mark["until"] > begin:
            steps += [(max(begin, mark["from"]), 1), (min(end, mark["until"]), -1)]
    seconds = depth = last = 0
    for at, step in sorted(steps):
        seconds += at - last if depth else 0
        depth, last = depth + step, at
    return seconds


def exempts(lists, marks, case, factor, hour, occupied):
    """Whether a judged window is let go: "exempt", why not ("contested", "not marked", "used up"), or none without an exemption."""
    (start, end), (state, marked, contested) = hour, occupied
    for exemption in lists["exemptions"]:
        if not (in_time(exemption, start) and concerns(exemption, case["enterprise"])):
            continue
        if factor not in exemption["pollutants"] or state not in exemption["states"]:
            continue
        if contested:
            return "contested"
        if not marked:
            return "not marked"
        year, _ = window(case["zone"], "year", start)
        used = seconds_claimed(marks, exemption["states"], year, end)
        return "exempt" if used <= exemption["hours"] * 3600 else "used up"
    return None
