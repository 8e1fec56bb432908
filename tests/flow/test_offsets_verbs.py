"""What holds for every command of sluice-offsets: help that names its options and exit codes, JSON that can be read, no colours but
on a terminal, progress for who waits there; and brokers that are away."""
import json
import os
import pty
import re
import socket
import subprocess
import time

import pytest

from deploy.local.places import ROOT
from tests.flow import batches, offsets_tool, otlp
from tests.flow.offsets_tool import BINARY, commit, create_topic, produce, run
from tests.flow.replay_tool import plan_file
from tests.flow.test_offsets_cat import avro_record
from tests.flow.test_replay_amp import MINUTE_MS
from tests.receiver.client import Receiver

POLICY = str(ROOT / "schemas/policy.example.json")
STORE = {"bucket": "game-metrics", "endpoint": "http://127.0.0.1:1", "path_style": "true", "aws__region": "eu-central-1"}
KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}
AMP = {"url": "http://127.0.0.1:1/write", "topics": "series"}
PLAN = ("plan", "replay", "--topic", "series", "--from", "earliest", "--stage")

# Each command with what it needs, {dir} being a folder of the test's; its first word has the help.
COMMANDS = {
    "status": (("status",), {}),
    "cat": (("cat", "series"), {}),
    "dlq list": (("dlq", "list"), {}),
    "dlq show": (("dlq", "show", "0/0"), {}),
    "dlq export": (("dlq", "export"), {}),
    "dlq redrive": (("dlq", "redrive", "--policy", POLICY, "--yes"), {}),
    "topics apply": (("topics", "apply"), {}),
    "topics check": (("topics", "check"), {}),
    "topics tenant create": (("topics", "tenant", "create", "studio-x", "--no-acls"), {}),
    "reset": (("reset", "sluice-amp", "--to", "1", "--yes"), {}),
    "pause": (("pause", "sluice-amp", "--for", "1m", "--reason", "r"), {}),
    "resume": (("resume", "sluice-amp"), {}),
    "snapshot": (("snapshot", "sluice-amp"), {}),
    "restore": (("restore", "{dir}/saved.json", "--yes"), {}),
    "parquet skip": (("parquet", "skip", "sluice-parquet", "--topic", "series", "--yes"), STORE),
    "parquet restore": (("parquet", "restore", "sluice-parquet", "--topic", "series", "--from-objects", "--yes"), STORE),
    "audit": (("audit", "--topic", "series"), STORE),
    "audit --repair": (("audit", "--topic", "series", "--repair"), STORE),
    "plan replay amp": ((*PLAN, "amp"), AMP),
    "plan replay parquet": ((*PLAN, "parquet"), {**STORE, "topics": "series"}),
    "plan replay validate": ((*PLAN, "validate"), {"topics": "series"}),
    "plan replay limit": ((*PLAN, "limit"), {"topics": "series"}),
    "plan replay rollup": ((*PLAN, "rollup"), {"topics": "series"}),
    "apply": (("apply", "{dir}/amp.plan"), AMP),
}
WITHOUT_JSON = {"cat", "dlq export"}  # JSON lines, always


def command(name, folder, bootstrap, **more):
    words, keys = COMMANDS[name]
    sets = {"kafka__bootstrap__servers": bootstrap, **keys, **more}
    if words[0] == "topics":
        sets = {"topics_file": str(ROOT / "deploy/topics.json"), "profile": "local", **sets}
    if words[0] in ("reset", "snapshot", "restore", "parquet"):
        sets["snapshot_dir"] = str(folder)
    return [BINARY, *(word.replace("{dir}", str(folder)) for word in words),
            *(f"--set={key.replace('__', '.')}={value}" for key, value in sets.items())]


@pytest.fixture
def folder(tmp_path):
    """With a snapshot and a plan that could be taken for ours."""
    (tmp_path / "saved.json").write_text(json.dumps({
        "group": "sluice-amp", "cluster_id": "c", "taken_ms": 1, "topics": {"series": "A" * 22},
        "partitions": [{"topic": "series", "partition": 0, "offset": 1, "metadata": ""}]}))
    plan_file(tmp_path / "amp.plan", stage="amp", group="sluice-amp", sink=AMP["url"], topic="series")
    return tmp_path


@pytest.fixture
def nobody():
    """A port that nobody listens at, and one whose owner takes connections and never says a word."""
    with socket.socket() as closed, socket.socket() as silent:
        for s in (closed, silent):
            s.bind(("127.0.0.1", 0))
        silent.listen(200)
        yield {name: f"127.0.0.1:{s.getsockname()[1]}" for name, s in (("closed", closed), ("silent", silent))}


def test_brokers_that_are_away(folder, nobody, say):
    """Every command says so, and what to look at, without doing anything; all at once, so that the slowest tells how long it
    takes."""
    files, began = sorted(folder.iterdir()), time.monotonic()
    waiting = {(name, how): subprocess.Popen(command(name, folder, port), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                             text=True, cwd=folder, env={**os.environ, **KEYS})
               for how, port in nobody.items() for name in COMMANDS}
    took = {}
    while waiting and time.monotonic() - began < 60:
        for name in [name for name, process in waiting.items() if process.poll() is not None]:
            out, err = waiting.pop(name).communicate()
            took[name] = time.monotonic() - began
            assert "no broker" in err and "kafka.bootstrap.servers" in err and out == "", (name, out, err)
        time.sleep(0.02)
    for process in waiting.values():
        process.kill()
    assert not waiting, list(waiting)
    assert sorted(folder.iterdir()) == files
    slowest = max(took, key=took.get)
    say(f"the slowest of {len(took)}, all at once: {' '.join(slowest)} after {took[slowest]:.1f} s")


def options():
    """{option: takes a value} of the command line, as the source has them."""
    table = (ROOT / "workers/offsets/command.h").read_text()
    return {name: value == "true" for name, value in re.findall(r'OPTION\(\w+, "(--[\w-]+)", (true|false)\)', table)}


@pytest.mark.parametrize("name", [name for name in COMMANDS if name.split()[0] not in ("plan", "apply")])
def test_help_names_each_option_and_the_exit_codes(folder, name):
    words = [word.replace("{dir}", str(folder)) for word in COMMANDS[name][0]]
    verb = [word for word in words[:3] if word in name.split()]
    text = run(None, "help", verb[0]).stdout
    assert "exit codes: 0 " in text and f"sluice-offsets {verb[0]}" in text
    for option, takes_value in options().items():
        done = run(None, *verb, *((option, "1") if takes_value else (option,)), "--check")
        assert done.returncode == 0 or "does not go with" in done.stderr, done
        assert done.returncode != 0 or option in text, f"{option} is taken by {name}, and its help does not name it"


@pytest.mark.parametrize("word", ["plan", "apply"])
def test_help_of_plans(word):
    text = run(None, "help", word).stdout
    arguments = (ROOT / "lib/replay/arguments.c").read_text()
    assert "exit codes: 0 " in text
    assert all(option in text for option in re.findall(r'\{"(--[\w-]+)", ', arguments) if option != "--help")
    done = run(None, word, *(["replay"] if word == "plan" else []), "--help")
    assert done.returncode == 0 and done.stdout == text


def test_no_command_is_left_out():
    """Of those that the source has."""
    table = (ROOT / "workers/offsets/command.c").read_text()
    verbs = [" ".join(re.findall(r'"([^"]+)"', words)) for words in re.findall(r"\[VERB_\w+\] =\s*\{\{([^}]*)\}", table)]
    assert len(verbs) > 14 and [verb for verb in verbs if verb != "help" and verb not in COMMANDS] == []


def test_help_is_complete():
    usage = run(None, "help").stdout
    assert all(name.split()[0] in usage for name in COMMANDS) and "exit codes" in usage
    assert run(None).returncode == 2


def test_what_needs_no_broker_to_be_refused(folder):
    """Each says what to do instead."""
    plan_file(folder / "limit.plan", stage="limit")
    (folder / "other.plan").write_text('{"version": 7}')
    for arguments, words in (
            (["plan"], "no command"), (["plan", "replay"], "--topic TOPIC --from PLACE"),
            (["plan", "replay", "--stage", "moon"], "none of amp, parquet, validate, limit, rollup"),
            ([*PLAN, "limit", "--rate"], "--rate needs a value"), ([*PLAN, "limit", "--rate", "-1"], "no whole number"),
            ([*PLAN, "limit", "--set", "topics=other"], "none of those that this sluice-limit reads (other)"),
            ([*PLAN, "amp", "--set", "moon=1", "--set", "url=http://h/"], "unknown key"),
            (["plan", "replay", "--stage", "limit", "--topic", "metrics.valid"], "--topic and --from are needed"),
            (["plan", "replay", "--stage", "limit", "--topic", "metrics.valid", "--from", "end"], "exchange them"),
            (["plan", "replay", "--stage", "limit", "--topic", "metrics.valid", "--from", "-1h", "--to", "2020-01-01"],
             "lies before the start"),
            (["plan", "replay", "--stage", "limit", "--topic", "metrics.valid", "--from", "7", "--to", "3"], "exchange them"),
            (["apply", str(folder / "limit.plan")], "plan replay --stage says why, and what to do instead"),
            (["apply", str(folder / "other.plan")], "make a new one"), (["apply", str(folder / "none")], "plan replay … --out"),
            (["apply", str(folder)], "there is no such file"), (["apply"], "usage: ")):
        done = run(None, *arguments, kafka__bootstrap__servers="127.0.0.1:1")
        assert done.returncode == 2 and words in done.stderr and done.stdout == "", (arguments, done)


# with a broker


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with offsets_tool.cluster(tmp_path_factory, "verbs") as stack:
        for topic in ("series", "metrics.valid", "metrics.dlq", "metrics.ingest", "sluice.gaps", "sluice.replay", "sluice.control"):
            create_topic(stack, topic, 1)
        now = otlp.now_ms()
        produce(stack, "series", [batches.batch("gs-1", [batches.counter("hits_total", n)], now - MINUTE_MS + n, offset=n)
                                  for n in range(20)])
        commit(stack, "sluice-amp", "series", {0: 20})
        origin = {"topic": "metrics.ingest", "topic_id": b"\0" * 16, "partition": 0, "offset": 0}
        produce(stack, "metrics.dlq", [avro_record("dlq", {
            "tenant": "demo", "stage": "amp", "reason": "store_invalid", "metric": "m", "received_ms": now, "origin": origin,
            "index": 0, "samples": 1, "points": [], "label": "", "masked_value": b"", "text": "no"})])
        yield stack


def answers(text):
    """The JSON of an output: one document, or one a line."""
    try:
        return [json.loads(text)]
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.splitlines()]


def called(stack, folder, name, *more):
    keys = {"watch_ms": "10"} if name == "status" else {}
    return subprocess.run([*command(name, folder, stack.bootstrap, **keys), *more], capture_output=True, text=True, check=False,
                          timeout=60, env={**os.environ, **KEYS}, cwd=folder)


# What needs a bucket is looked at where there is one: test_offsets_audit.py, test_offsets_parquet.py.
WITHOUT_BUCKET = [name for name, (_, keys) in COMMANDS.items() if "bucket" not in keys]


@pytest.mark.parametrize("name", WITHOUT_BUCKET)
def test_json_for_scripts_and_plain_words_for_people(stack, folder, name):
    """--json: JSON and nothing else. Without, words; neither has colours where nobody looks."""
    if name == "restore":
        saved = json.loads(called(stack, folder, "snapshot", "--json").stdout)["snapshot"]
        os.replace(saved, folder / "saved.json")
    if name == "apply":
        made = called(stack, folder, "plan replay amp", "--to", "3", "--metric", "none_of_them", "--out",
                      str(folder / "amp.plan"))
        assert made.returncode == 0, made
    if name == "resume":
        assert called(stack, folder, "pause").returncode == 0
    as_json = called(stack, folder, name, "--json")
    if name == "resume":
        assert called(stack, folder, "pause").returncode == 0
    plain = called(stack, folder, name)
    for done in (as_json, plain):
        assert done.returncode in (0, 1) and "\033" not in done.stdout + done.stderr, done
    assert all(isinstance(answer, (dict, list)) for answer in answers(as_json.stdout)) and as_json.stdout, as_json
    if name in WITHOUT_JSON:
        assert plain.stdout == as_json.stdout
    else:
        with pytest.raises(json.JSONDecodeError):
            answers(plain.stdout)


def seen_on_a_terminal(arguments, env=None):
    """(exit code, stdout, what stderr shows there)"""
    master, slave = pty.openpty()
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=slave, text=True, env={**os.environ, **(env or {})})
    os.close(slave)
    shown = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(master)
    out = process.stdout.read()
    return process.wait(60), out, shown.decode()


def test_progress_for_who_waits(stack, folder):
    """Long work tells where it is, on a terminal alone, and never on stdout."""
    with Receiver() as receiver:
        url = receiver.write_url
        plan = [*command("plan replay amp", folder, stack.bootstrap, url=url), "--json", "--out", str(folder / "amp.plan")]
        code, out, shown = seen_on_a_terminal(plan)
        assert code == 0 and re.search(r"series\[0\]: offset \d+ of 20", shown), shown
        assert json.loads(out)["to_do"] == 20
        quiet = subprocess.run(plan, capture_output=True, text=True, check=True, timeout=60)
        assert quiet.stderr == ""
        code, out, shown = seen_on_a_terminal([*command("apply", folder, stack.bootstrap, url=url), "--json"])
        assert code == 0 and "1 of 1 pieces, 20 done" in shown and json.loads(out)["done"] == 20, (out, shown)
