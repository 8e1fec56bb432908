"""Counts what Prometheus holds, by PromQL alone: independent of the load generator's own check."""
import json
import urllib.error
import urllib.parse
import urllib.request

from deploy.local.places import StackError

STEP_S = 600


def _get(url, path, form):
    """data of an answer of Prometheus' API."""
    body = urllib.parse.urlencode(form).encode()
    try:
        with urllib.request.urlopen(f"{url}/api/v1/{path}?{body.decode()}", timeout=120) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as e:
        raise StackError(f"Prometheus: {e.read().decode(errors='replace')[:200]}") from e
    except OSError as e:
        raise StackError(f"Prometheus does not answer: {e}") from e


def query(url, promql, at_s):
    """The value of a query with one result; 0 where there is none."""
    result = _get(url, "query", {"query": promql, "time": f"{at_s:.3f}"})["result"]
    return float(result[0]["value"][1]) if result else 0.0


def metric_names(url):
    return _get(url, "label/__name__/values", {})


def count_samples(url, from_s, to_s):
    """{metric: its samples and native histograms in (from_s, to_s]}, of whatever the store holds.
    By name, since PromQL drops names; a step at a time, as one query may load only so many samples. A
    range includes both of its ends, so that it is a millisecond short of the step."""
    counts = {}
    for name in metric_names(url):
        end, total = int(to_s) + 1, 0
        while end > from_s:
            total += query(url, f'sum(count_over_time({{__name__="{name}"}}[{STEP_S * 1000 - 1}ms]))', end)
            end -= STEP_S
        counts[name] = int(total)
    return counts
