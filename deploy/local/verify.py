"""Counts what Prometheus holds, by PromQL alone: independent of the load generator's own check."""
import json
import urllib.error
import urllib.parse
import urllib.request

from deploy.local.places import StackError

STEP_S = 60


def query(url, promql, at_s):
    """The value of a query with one result; 0 where there is none."""
    form = urllib.parse.urlencode({"query": promql, "time": f"{at_s:.3f}"}).encode()
    try:
        with urllib.request.urlopen(f"{url}/api/v1/query", form, timeout=120) as answer:
            result = json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as e:
        raise StackError(f"Prometheus: {e.read().decode(errors='replace')[:200]}") from e
    except OSError as e:
        raise StackError(f"Prometheus does not answer: {e}") from e
    return float(result[0]["value"][1]) if result else 0.0


def count_samples(url, selector, from_s, to_s):
    """Samples and native histograms in (from_s, to_s], a step at a time: a range includes both of
    its ends, so that it is a millisecond short of the step."""
    total, end = 0, int(to_s) + 1
    while end > from_s:
        total += query(url, f"sum(count_over_time({selector}[{STEP_S * 1000 - 1}ms]))", end)
        end -= STEP_S
    return int(total)
