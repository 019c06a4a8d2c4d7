"""Averages, validity, status, flag, mass and what a rule says of them, from the regulation's text alone, in decimal arithmetic."""

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, getcontext

from zones import window

getcontext().prec = 40
TWELVE = Context(prec=12, rounding=ROUND_HALF_EVEN)
D = Decimal
ZERO_K = D(273)          # HJ 212-2017 prints 273, not 273.15
ATMOSPHERE = D(101325)   # Pa
LITRES = D("22.4")       # molar volume
NO2_PER_NO = D(46) / D(30)
SOURCE = ["F", "St", "Sd", "B"]
OTHER = ["D", "M", "C", "T", "Md"]
OF_FLAG = {"N": "N", "M": "M", "S": "M", "C": "C", "T": "T", "D": "D", "F": "D", "B": "Md", "-": "Md"}
LOWER = {"5-minute": "minute", "10-minute": "minute", "30-minute": "minute", "hour": "minute", "day": "hour",
         "month": "day", "quarter": "month", "year": "quarter"}
ORDER = ["minute", "5-minute", "10-minute", "30-minute", "hour", "day", "month", "quarter", "year"]


def twelve(value):
    """Figures have twelve significant digits."""
    return None if value is None else TWELVE.plus(value)


def expected_parts(zone, period, start, end):
    """How many windows of the next lower period there should be."""
    if period == "hour" or period.endswith("-minute"):
        return (end - start) // 60
    if period == "day":
        return (end - start) // 3600
    if period == "month":
        return round((end - start) / 86400)
    return {"quarter": 3, "year": 4}[period]


# ---- One scan ----

def checked(reading, channel):
    """Value (or none) and flag after validation."""
    text, letter = reading
    if letter != "N" or text is None:
        return None, ("D" if letter == "N" else letter)
    value = D(text)
    if value < D(channel["low"]):
        return None, "D"
    if channel["role"] == "oxygen" and not 0 <= value <= 21:
        return None, "D"
    if channel["role"] == "moisture" and not 0 <= value < 100:
        return None, "D"
    if value > D(channel["high"]):
        return None, "T"
    return value, "N"


def first(role, channels, values):
    """Of the first channel of a role: (is there one, its value, the channel)."""
    for channel, (value, _) in zip(channels, values):
        if channel["role"] == role:
            return True, value, channel
    return False, None, None


def pascal(value, channel):
    return value * 1000 if channel["unit"] == "kPa" else value


def surroundings(outlet, channels, values):
    """Temperature, absolute pressure, moisture fraction, dry oxygen; none where not known."""
    _, temperature, _ = first("temperature", channels, values)
    there, ambient, channel = first("ambient-pressure", channels, values)
    ambient = D(outlet["ambient_pa"]) if not there else None if ambient is None else pascal(ambient, channel)
    there, gauge, channel = first("static-pressure", channels, values)
    gauge = D(0) if not there else None if gauge is None else pascal(gauge, channel)
    there, moisture, _ = first("moisture", channels, values)
    if there:
        moisture = None if moisture is None else moisture / 100
    else:
        moisture = None if outlet["moisture"] is None else D(outlet["moisture"])
    _, oxygen, channel = first("oxygen", channels, values)
    if oxygen is not None and channel["wet"]:
        oxygen = None if moisture is None else oxygen / (1 - moisture)
    pressure = None if ambient is None or gauge is None else ambient + gauge
    return temperature, pressure, moisture, oxygen


def bases(value, channel, outlet, around):
    """(standard, dry) of one value; for velocity and flow the dry standard flow."""
    temperature, pressure, moisture, _ = around
    role = channel["role"]
    if role in ("velocity", "flow"):
        wet, actual = channel["wet"], channel["actual"]
        if channel["unit"] == "m/s":
            if outlet["area"] is None:
                return None, None
            value = 3600 * D(outlet["area"]) * D(outlet["kv"]) * value         # (29), (30)
            wet = actual = True
        elif channel["unit"] == "m3/s":
            value *= 3600
        if (actual and None in (temperature, pressure)) or (wet and moisture is None):
            return None, None
        if actual:
            value = value * ZERO_K / (ZERO_K + temperature) * pressure / ATMOSPHERE                  # (31)
        return None, value * (1 - moisture) if wet else value
    if role == "pollutant":
        if channel["unit"] == "ppm":
            value = value * D(channel["molar"]) / LITRES                       # (20), (22)
        else:
            if channel["as_no"]:
                value = value * NO2_PER_NO                                     # (21)
            if channel["actual"]:
                if temperature is None or pressure is None:
                    return None, None
                value = value * ATMOSPHERE / pressure * (ZERO_K + temperature) / ZERO_K   # (18)
    elif role != "oxygen":
        return None, None
    if not channel["wet"]:
        return value, value
    return value, None if moisture is None else value / (1 - moisture)          # (19)


def convert(dry, oxygen, reference, outlet):
    """To reference oxygen or excess air; none when it cannot be."""
    if reference is None:
        return dry                                                             # note (4)
    if oxygen is None:
        return None
    air, cutoff = D(outlet["air"]), D(outlet["cutoff"])
    if oxygen > cutoff:
        if outlet["policy"] == "not-convertible":
            return None
        if outlet["policy"] == "no-conversion":
            return dry
        oxygen = cutoff
    if air - oxygen < D("0.01"):
        return None
    if "oxygen" in reference:
        return dry * (air - D(reference["oxygen"])) / (air - oxygen)           # (28)
    return dry * (air / (air - oxygen)) / D(reference["alpha"])                # (26), (27)


# ---- Windows ----

class Average:
    """One channel in one window."""

    def __init__(self, expected):
        self.expected, self.valid_n, self.normal, self.present = expected, 0, 0, 0
        self.sums = {"measured": [], "standard": [], "dry": []}
        self.low = self.high = self.mass = self.corrected = None
        self.mass_at_rest = 0
        self.statuses = {}
        self.valid, self.status, self.flag = False, None, None

    def count(self, status, times=1):
        self.statuses[status] = self.statuses.get(status, 0) + times

    def take(self, measured, standard, dry, low, high):
        self.valid_n += 1
        for name, value in (("measured", measured), ("standard", standard), ("dry", dry)):
            if value is not None:
                self.sums[name].append(value)
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)

    def close(self, needed):
        self.valid = self.valid_n >= needed
        enough = max(1, min(needed, self.valid_n))
        for name, values in self.sums.items():
            mean = twelve(sum(values) / len(values)) if len(values) >= enough else None
            setattr(self, name, mean)
        self.status = next((s for s in SOURCE if self.statuses.get(s, 0) >= needed), "N" if self.valid else None)
        if self.status is None:
            most = max(self.statuses.get(s, 0) for s in OTHER)
            self.status = "Md" if most == 0 else next(s for s in OTHER if self.statuses.get(s, 0) == most)
        if self.expected == 0:
            self.flag = "-"
        else:
            self.flag = "N" if 4 * self.normal >= 3 * self.expected else "D"


def needed(period, expected):
    if period == "minute" and expected >= 12:
        return 12
    if period == "hour" and expected >= 60:
        return 45
    if period == "day":
        return 20
    if period == "month":
        return 25 if expected >= 30 else 23
    return max(1, -(-3 * expected // 4))


def is_slow(channel):
    return channel["period_ms"] > 60000


def minute(start, scans, case):
    outlet, channels = case["outlet"], case["channels"]
    averages = []
    for index, channel in enumerate(channels):
        if is_slow(channel):
            expected = 1 if any(readings[index][1] != "-" for readings in scans.values()) else 0
        else:
            expected = max(1, 60000 // channel["period_ms"])
        averages.append(Average(expected))
    for readings in scans.values():
        values = [checked(reading, channel) for reading, channel in zip(readings, channels)]
        around = surroundings(outlet, channels, values)
        for channel, (value, flag), average in zip(channels, values, averages):
            average.normal += flag == "N"
            standard = dry = None
            if value is not None:
                standard, dry = bases(value, channel, outlet, around)
            counts = dry is not None if channel["role"] in ("pollutant", "oxygen") else value is not None
            if counts:
                average.count("N")
                average.take(value, standard, dry, value, value)
            else:
                average.count("Md" if flag == "N" else OF_FLAG[flag])
    for average in averages:
        average.count("Md", max(0, average.expected - len(scans)))
        average.close(needed("minute", average.expected))
    weigh("minute", averages, case)
    return averages


def nothing_over(minute, index):
    """(status in place of a minute's own, whether the minute counts, whether its mass does)"""
    return None, True, True


def coarser(period, start, end, parts, case, over=nothing_over):
    """`parts`: averages of the next lower period by their start; `over`: what the law lays over a minute of a channel."""
    if LOWER[period] != "minute":
        over = nothing_over
    averages = []
    for index, channel in enumerate(case["channels"]):
        expected = expected_parts(case["zone"], period, start, end)
        cycle = LOWER[period] == "minute" and is_slow(channel)
        if cycle:
            expected = max(1, (end - start) * 1000 // channel["period_ms"])
        average = Average(expected)
        for at, part in parts.items():
            part = part[index]
            if part.expected == 0:
                continue
            status, counts, weighs = over(at, index)
            average.present += 1
            average.normal += part.flag == "N"
            average.count(status or part.status)
            if part.mass is not None and weighs:
                average.mass = part.mass + (average.mass or 0)
                average.mass_at_rest += part.mass if status == "F" else 0
            if part.valid and counts:
                average.take(part.measured, part.standard, part.dry, part.low, part.high)
        missing = max(0, expected - average.present)
        if LOWER[period] == "minute" and not cycle:
            # A minute without a row has the status of what lay over it.
            named = [over(at, index)[0] for at in range(start, end, 60) if at not in parts]
            for status in filter(None, named):
                average.count(status)
                missing -= 1
        average.count("Md", missing)
        average.close(needed(period, expected))
        averages.append(average)
    weigh(period, averages, case)
    return averages


def weigh(period, averages, case):
    """Conversion of the means, and mass in whole milligrams."""
    channels, outlet = case["channels"], case["outlet"]
    oxygen = oxygen_of(averages, channels)
    flow = flow_of(averages, channels)
    reference = None if outlet["reference"] is None else {"oxygen": outlet["reference"]}
    for channel, average in zip(channels, averages):
        if channel["role"] != "pollutant":
            continue
        if average.dry is not None:
            average.corrected = twelve(convert(average.dry, oxygen, reference, outlet))
        if period not in ("minute", "hour") or not average.valid or average.dry is None or flow is None:
            continue
        if period == "hour":
            # The time that the source ran; what it emitted at rest was weighed minute by minute.
            at_rest = min(average.statuses.get("F", 0), average.expected)
            hours = D(average.expected - at_rest) / average.expected
        else:
            hours = D(channel["period_ms"] if is_slow(channel) else 60000) / 3600000
        rate = average.dry * flow / 1000000                                    # (33), kg/h
        weighed = twelve(rate * hours * 1000000).quantize(D(1), rounding=ROUND_HALF_UP)
        average.mass = int(weighed) + average.mass_at_rest


def flow_of(averages, channels):
    """A flow channel goes before a velocity channel."""
    for role in ("flow", "velocity"):
        mean = next((a for c, a in zip(channels, averages) if c["role"] == role and a.valid), None)
        if mean is not None and mean.dry is not None:
            return mean.dry
    return None


def oxygen_of(averages, channels):
    mean = next((a for c, a in zip(channels, averages) if c["role"] == "oxygen"), None)
    return mean.dry if mean is not None and mean.valid else None


def decimals(text):
    digits = D(text).normalize()
    return D(1).scaleb(min(0, digits.as_tuple().exponent))


def verdicts(period, start, index, averages, case):
    found = []
    for number, rule in enumerate(case["rules"]):
        in_force = rule["from"] <= start and (rule["until"] is None or start < rule["until"])
        if rule["channel"] != index or rule["period"] != period or not in_force:
            continue
        found.append([number, *said_by(rule, index, averages, case)])
    return found


def said_by(rule, index, averages, case):
    """[outcome, value, ratio over the limit] of one rule on one channel's window."""
    average = averages[index]
    if not average.valid:
        return ["not-judged: not valid", None, None]
    oxygen = oxygen_of(averages, case["channels"])
    value = twelve(convert(average.dry, oxygen, rule["reference"], case["outlet"]))
    if value is None:
        return ["not-judged: not convertible", None, None]
    limit = D(rule["limit"])
    compared = value.quantize(decimals(rule["limit"]), rounding=ROUND_HALF_EVEN) if rule["rounded"] else value
    if compared > limit:
        return ["exceeded", str(value), str(twelve(value / limit - 1))]
    return ["met", str(value), None]


def minutes_of(case):
    minutes = {}
    for at, readings in case["scans"]:
        second = at // 1000000
        minutes.setdefault(second // 60 * 60, {})[at] = readings
    return {start: minute(start, scans, case) for start, scans in minutes.items()}


def levels_of(minutes, case, over=nothing_over):
    """Averages of every period by their start."""
    levels = {"minute": minutes}
    for period in ORDER[1:]:
        if period not in case["periods"]:
            continue
        groups = {}
        for start in sorted(levels[LOWER[period]]):
            begin, end = window(case["zone"], period, start)
            groups.setdefault((begin, end), {})[start] = levels[LOWER[period]][start]
        levels[period] = {b: coarser(period, b, e, parts, case, over) for (b, e), parts in groups.items()}
    return levels


def figures(average):
    text = lambda value: None if value is None else str(value)
    a = average
    return [text(a.measured), text(a.standard), text(a.dry), text(a.corrected), text(a.low), text(a.high), a.valid_n,
            a.expected, a.status, a.flag, a.valid, a.mass]


def work_out(case):
    answer = {}
    for period, windows in levels_of(minutes_of(case), case).items():
        for start, averages in windows.items():
            answer[f"{period} {start}"] = [
                [*figures(average), verdicts(period, start, index, averages, case)]
                for index, average in enumerate(averages)
            ]
    return answer
