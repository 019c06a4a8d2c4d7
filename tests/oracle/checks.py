"""The calendar of checks: when an analyser was out of control, from the text alone.

- A kind of check is overdue from the moment at which it was due and not made, until the next good one of that kind. It is due an
  interval after the last good one; where there never was one, an interval after the plan began. A plan that is not in force asks
  for nothing, so what is overdue by it ends with it.
- A check that failed puts the analyser out of control until the next good one of that kind. It is not a check that was made.
"""

from bisect import bisect_right


def newest(moments, at):
    """The newest of sorted moments that is not after `at`."""
    place = bisect_right(moments, at)
    return moments[place - 1] if place else None


def is_overdue(at, good, plans):
    for plan in plans:
        if plan["from"] <= at and (plan["until"] is None or at < plan["until"]):
            counted_from = newest(good, at)
            if counted_from is None:
                counted_from = plan["from"]
            if counted_from + plan["every_hours"] * 3600 <= at:
                return True
    return False


def has_failed(at, good, failed):
    last_failed, last_good = newest(failed, at), newest(good, at)
    return last_failed is not None and (last_good is None or last_good < last_failed)


def out_of_control(plans, checks):
    """[analyser, kind, cause, from, until or none, last good check before it or none], each as long as it lasted."""
    spans = []
    for subject in sorted({(entry["analyser"], entry["kind"]) for entry in plans + checks}):
        of_it = lambda entry: (entry["analyser"], entry["kind"]) == subject
        its_plans, its_checks = list(filter(of_it, plans)), list(filter(of_it, checks))
        good = sorted(check["at"] for check in its_checks if check["result"] == "passed")
        failed = sorted(check["at"] for check in its_checks if check["result"] == "failed")
        # Between two of these moments nothing can change.
        moments = set(good + failed)
        for plan in its_plans:
            moments |= {plan["from"], plan["until"]}
            moments |= {begin + plan["every_hours"] * 3600 for begin in [*good, plan["from"]]}
        moments = sorted(moments - {None})
        causes = {
            "overdue": lambda at: is_overdue(at, good, its_plans),
            "failed": lambda at: has_failed(at, good, failed),
        }
        for cause, is_out in causes.items():
            begin = None
            for at in moments:
                if is_out(at) and begin is None:
                    begin = at
                elif not is_out(at) and begin is not None:
                    spans.append([*subject, cause, begin, at, newest(good, begin)])
                    begin = None
            if begin is not None:
                spans.append([*subject, cause, begin, None, newest(good, begin)])
    return spans


def out_at(spans, analyser, at):
    """(whether the analyser is out of control, its last good check); of several times out of control the one that began first."""
    holding = [span for span in spans if span[0] == analyser and span[3] <= at and (span[4] is None or at < span[4])]
    return (True, min(holding, key=lambda span: span[3])[5]) if holding else (False, None)
