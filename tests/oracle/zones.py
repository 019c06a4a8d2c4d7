"""Time zones by their own rules and not by a table of the system (2021-05 to 2030), and the windows of averaging periods."""

from datetime import date, datetime, timedelta, timezone

SECONDS = {"minute": 60, "5-minute": 300, "10-minute": 600, "30-minute": 1800, "hour": 3600}


def nth_sunday(year, month, nth):
    first = date(year, month, 1)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (nth - 1))


def utc(day, hour):
    return datetime(day.year, day.month, day.day, hour, tzinfo=timezone.utc).timestamp()


def offset(zone, second):
    """Seconds east of UTC at a moment."""
    if zone == "America/New_York":
        year = datetime.fromtimestamp(second, timezone.utc).year
        begins, ends = utc(nth_sunday(year, 3, 2), 7), utc(nth_sunday(year, 11, 1), 6)
        return -4 * 3600 if begins <= second < ends else -5 * 3600
    return {"UTC": 0, "Asia/Shanghai": 8 * 3600, "Pacific/Apia": 13 * 3600}[zone]


def midnight(zone, day):
    """The moment at which a local day begins; none of the zones changes its clock at midnight."""
    local = utc(day, 0)
    guess = local - offset(zone, local - offset(zone, local))
    return int(guess)


def window(zone, period, second):
    """[start, end) around a moment."""
    if period in SECONDS:
        length, east = SECONDS[period], offset(zone, second)
        start = (second + east) // length * length - east
        return start, start + length
    local = datetime.fromtimestamp(second + offset(zone, second), timezone.utc).date()
    if period == "day":
        return midnight(zone, local), midnight(zone, local + timedelta(days=1))
    months = {"month": 1, "quarter": 3, "year": 12}[period]
    first = (local.month - 1) // months * months + 1
    last = first + months
    start = date(local.year, first, 1)
    end = date(local.year + (last - 1) // 12, (last - 1) % 12 + 1, 1)
    return midnight(zone, start), midnight(zone, end)
