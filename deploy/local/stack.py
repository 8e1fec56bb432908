"""The local stack as a whole: start in order, endpoints, stop in the reverse order."""
import json
import shutil

from deploy.local import topics
from deploy.local.gateway import Doors
from deploy.local.kafka import Kafka
from deploy.local.places import StackError
from deploy.local.process import Process, stop_all
from deploy.local.prometheus import Prometheus
from deploy.local.s3proxy import BUCKET, S3Proxy
from deploy.local.workers import WORKERS, Worker


class Stack:
    def __init__(self, places, brokers=1, workers=tuple(WORKERS), die_with_parent=True):
        self.places = places
        self.kafka = Kafka(places, brokers, die_with_parent)
        self.prometheus = Prometheus(places, die_with_parent)
        self.prometheus_warm = Prometheus(places, die_with_parent, "prometheus_warm")
        self.s3proxy = S3Proxy(places, places.port("s3proxy"), die_with_parent)
        self.doors = Doors(places)
        self.workers = {kind: Worker(places, kind, die_with_parent=die_with_parent) for kind in workers}

    @property
    def needs_s3(self):
        return "parquet" in self.workers

    @property
    def has_doors(self):
        return "gateway" in self.workers

    @property
    def stores(self):
        """The raw samples' store, and that of the rollups."""
        return [self.prometheus, *([self.prometheus_warm] if "amp_warm" in self.workers else ())]

    def processes(self):
        """In the order of their start."""
        return [*self.kafka.brokers, *(store.process for store in self.stores), *([self.s3proxy.process] if self.needs_s3 else ()),
                *(w.process for w in self.workers.values())]

    def start(self, say=lambda line: None):
        """All or nothing: what was started is stopped when a part fails."""
        running = [p.name for p in Process.known(self.places.run) if p.alive()]
        if running:
            raise StackError(f"a local stack is up already ({', '.join(running)}); deploy/local/down stops it")
        shutil.rmtree(self.places.run, ignore_errors=True)
        self.places.endpoints.unlink(missing_ok=True)
        self.places.make()
        for worker in self.workers.values():
            worker.check()
        if self.has_doors:
            self.doors.check_ports()
            self.doors.prepare()
        try:
            self._start_all(say)
        except BaseException:
            self.stop()
            raise

    def _start_all(self, say):
        for store in self.stores:
            store.check_port()
        say(f"starting Kafka ({self.kafka.n_brokers} broker{'s' * (self.kafka.n_brokers > 1)})")
        self.kafka.start()
        say("starting Prometheus" + (" twice: one for raw samples, a warm one for rollups" if len(self.stores) > 1 else ""))
        for store in self.stores:
            store.start()
        if self.needs_s3:
            say("starting S3Proxy")
            self.s3proxy.forget()
            self.s3proxy.start([BUCKET])
        topics.apply(self.places, self.kafka)
        for store in self.stores:
            store.wait_ready()
        for kind, worker in self.workers.items():
            say(f"starting sluice-{kind}")
            worker.configure(self.kafka.bootstrap, WORKERS[kind](self))
            worker.start()
        for worker in self.workers.values():
            worker.wait_ready()
        self.places.endpoints.write_text(json.dumps(self.endpoints(), indent=2) + "\n")

    def endpoints(self):
        return {"kafka": self.kafka.bootstrap, **{store.part: store.url for store in self.stores},
                **({"s3": f"{self.s3proxy.url}/{BUCKET}"} if self.needs_s3 else {}),
                **(self.doors.endpoints() if self.has_doors else {}),
                "workers": {kind: worker.url for kind, worker in self.workers.items()}}

    def check_alive(self):
        for process in self.processes():
            if not process.alive():
                raise StackError(process.death())

    def stop(self):
        stop_all([worker.process for worker in self.workers.values()])
        if self.needs_s3:
            self.s3proxy.stop()
        for store in self.stores:
            store.stop()
        self.kafka.stop()
        self.places.endpoints.unlink(missing_ok=True)


def down(places):
    """Stops what the pid files tell of, brokers and store last; the names of what was running."""
    known = Process.known(places.run)
    stopped = [p.name for p in known if p.alive()]
    base = [p for p in known if p.name in ("prometheus", "prometheus_warm", "s3proxy") or p.name.startswith("kafka")]
    stop_all([p for p in known if p not in base])
    stop_all(base)
    places.endpoints.unlink(missing_ok=True)
    return stopped
