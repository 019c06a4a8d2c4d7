"""Works out averages, validity, status, flag, mass and verdicts once more, from the regulation's text alone, in decimal
arithmetic. It shares no code and no data format with the program that it checks.

Reads one JSON document a line from standard input, writes one a line to standard output. A document of `"kind": "quarter"` is
for substitution.py, one of `"kind": "lawful"` for lawful.py; every other one is for averages.py:

In:  {"zone": NAME, "periods": ["minute", ...],
      "outlet": {"reference": null or text, "air": text, "cutoff": text, "policy": "not-convertible" | "no-conversion" | "cap",
                 "ambient_pa": text, "moisture": null or text, "area": null or text, "kv": text},
      "channels": [{"role": ..., "unit": ..., "wet": bool, "actual": bool, "as_no": bool, "molar": null or text,
                    "low": text, "high": text, "period_ms": int}, ...],
      "rules": [{"channel": int, "period": name, "reference": null, {"oxygen": text} or {"alpha": text},
                 "limit": text, "rounded": bool, "from": seconds, "until": null or seconds}, ...],
      "scans": [[microseconds since 1970, [[text or null, letter], ...]], ...]}
Out: {"PERIOD START_SECONDS": [[measured, standard, dry, corrected, min, max, n_valid, n_expected, status, flag, valid, mass_mg,
      [[rule, verdict, corrected, ratio_over], ...]], ...], ...}   figures as text or null
Numbers are texts so that no binary floating point comes near them.
"""

import json
import sys

import averages
import lawful
import substitution

WORK = {"quarter": substitution.work_out, "lawful": lawful.work_out}

for line in sys.stdin:
    question = json.loads(line)
    print(json.dumps(WORK.get(question.get("kind"), averages.work_out)(question)), flush=True)
