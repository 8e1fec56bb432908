"""The commands of deploy/local: up, down, status, demo."""
import argparse
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from deploy.local import demo, stack as stacks  # noqa: E402
from deploy.local.load import Load  # noqa: E402
from deploy.local.places import Places, StackError  # noqa: E402
from deploy.local.process import Process  # noqa: E402
from deploy.local.workers import WORKERS  # noqa: E402

INTERRUPTED = 130


class Interrupted(BaseException):
    """Ctrl-C, SIGTERM or a terminal that went away: stop all, once."""


def _on_signal(number, _frame):
    for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(n, signal.SIG_IGN)
    raise Interrupted(signal.Signals(number).name)


def say(line):
    print(line, flush=True)


def worker_list(text):
    names = tuple(name for name in text.split(",") if name and name != "none")
    for name in names:
        if name not in WORKERS:
            raise argparse.ArgumentTypeError(f"'{name}' is none of {', '.join(WORKERS)}, none")
    return names


def positive(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number above 0")
    return int(text)


def parse(argv):
    parser = argparse.ArgumentParser(prog="deploy/local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start the stack and the load in the background")
    up.add_argument("--no-load", action="store_true", help="start no load generator")
    down = commands.add_parser("down", help="stop what up started")
    status = commands.add_parser("status", help="show the parts; exit 1 when one is dead")
    show = commands.add_parser("demo", help="start all, show it at work, verify, stop all")
    show.add_argument("seconds", nargs="?", type=positive, default=demo.SECONDS,
                      help=f"of load (default {demo.SECONDS})")
    for command in (up, show):
        command.add_argument("--brokers", type=int, choices=(1, 3), default=1)
        command.add_argument("--rate", type=positive, default=demo.RATE, help="samples per second")
    up.add_argument("--workers", type=worker_list, default=tuple(WORKERS),
                    help=f"comma-separated, of {', '.join(WORKERS)}; or none")
    for command in (up, down, status, show):
        command.prog = f"deploy/local/{command.prog.split()[-1]}"
    return parser.parse_args(argv)


def run_up(options, places):
    stack = stacks.Stack(places, options.brokers, options.workers, die_with_parent=False)
    stack.start(say)
    if not options.no_load:
        try:
            Load(stack, options.rate, 0).start()
        except BaseException:
            stack.stop()
            raise
    for name, where in stack.endpoints().items():
        if isinstance(where, str):
            say(f"  {name:<16} {where}")
    for name, where in stack.endpoints()["workers"].items():
        say(f"  {'sluice-' + name:<16} {where}")
    say(f"up; endpoints in {places.endpoints}, logs in {places.logs}; deploy/local/down stops it")


def run_demo(options, places):
    stack = stacks.Stack(places, options.brokers)
    stack.start(say)
    try:
        demo.run(stack, options.seconds, options.rate, say)
    finally:
        stack.stop()
    say(f"all is stopped; logs in {places.logs}. To look around: deploy/local/up, then "
        f"{stack.prometheus.url}/graph and {stack.workers['amp'].url}/metrics")


def run_down(_options, places):
    stopped = stacks.down(places)
    say(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


def run_status(_options, places):
    known = sorted(Process.known(places.run), key=lambda p: p.name)
    if not known:
        raise StackError("the local stack is down; deploy/local/up starts it")
    for process in known:
        say(f"{process.name:<12} {'up' if process.alive() else 'DEAD':<5} pid {process.pid:<8} log {process.log_path}")
    if places.endpoints.exists():
        say(places.endpoints.read_text().rstrip())
    dead = [p for p in known if not p.alive()]
    if dead:
        raise StackError(dead[0].death())


def main():
    options = parse(sys.argv[1:])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _on_signal)
    commands = {"up": run_up, "down": run_down, "status": run_status, "demo": run_demo}
    try:
        commands[options.command](options, Places())
    except StackError as e:
        print(f"deploy/local/{options.command}: {e}", file=sys.stderr)
        return 1
    except Interrupted:
        print(f"deploy/local/{options.command}: interrupted, all is stopped", file=sys.stderr)
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
