"""sluice-parquet under disturbance: kill -9, zombies that wake during uploads, S3 away, slow, refusing, or losing its
answers, a full scratch disk; 12 of them here, tests/soak has the long form. And the places where exactly once breaks,
each with the worker as it is and with the fault that it exists for, which must show."""
import os
import random
import subprocess
import threading
import time

import pytest

from deploy.local.places import free_ports
from tests.fault import counter
from tests.fault.chaos import Chaos
from tests.fault.http_proxy import HttpProxy, some_of
from tests.fault.load import wait_caught_up
from tests.fault.proxy import END_TXN, TXN_OFFSET_COMMIT
from tests.flow import batches, parquet_audit
from tests.flow.parquet_audit import Audit, Bucket, start_worker
from tests.flow.stack import StackUnderTest, wait_for
from tests.flow.test_parquet import HOUR_MS, T0_MS, server_points

GROUP, TOPIC = "sluice-parquet", "metrics.admitted"
SESSION_S = 6
PARTITIONS = 6
DISTURBANCES = int(os.environ.get("SLUICE_DISTURBANCES", "12"))


class Feeder(threading.Thread):
    """Batches of some servers at a steady pace, over three hours of sample time."""

    def __init__(self, stack, rate=60, seed=3):
        super().__init__(daemon=True)
        self.stack, self.rate, self.rng, self.n = stack, rate, random.Random(seed), 0
        self.ending = threading.Event()

    def put(self, producer):
        server = f"gs-{self.rng.randrange(40)}"
        value = batches.batch(server, server_points(self.rng, self.rng.randrange(1, 16)),
                              T0_MS + self.rng.randrange(3 * HOUR_MS), offset=self.n)
        producer.produce(TOPIC, value, partition=batches.partition_of(server, PARTITIONS))
        self.n += 1

    def run(self):
        producer = self.stack.producer(message_timeout_ms=0)
        while not self.ending.is_set():
            for _ in range(self.rate // 10):
                self.put(producer)
            producer.poll(0)
            time.sleep(0.1)
        assert producer.flush(120) == 0

    def stop(self):
        self.ending.set()
        self.join(150)


class Scratch:
    """A small disk for scratch files that can be full. Without the right to mount one, the folder goes instead."""

    def __init__(self, stack):
        self.folder = stack.places.dir / "scratch"
        self.folder.mkdir()
        self.mounted = False
        for sudo in ([], ["sudo", "-n"]):
            if not self.mounted:
                mount = [*sudo, "mount", "-t", "tmpfs", "-o", "size=64m,mode=777", "none", self.folder]
                self.mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
                self.umount = [*sudo, "umount", "-l", self.folder]
        if self.mounted:
            stack.at_stop.append(lambda: subprocess.run(self.umount, check=False))

    def fill(self):
        if not self.mounted:
            self.folder.rename(self.folder.with_name("gone"))
            return
        with open(self.folder / "hog", "wb", buffering=0) as hog:
            try:
                while True:
                    hog.write(b"\0" * 65536)
            except OSError:
                pass

    def free(self):
        if not self.mounted:
            self.folder.with_name("gone").rename(self.folder)
        else:
            (self.folder / "hog").unlink()


class ParquetChaos(Chaos):
    KINDS = ("kill", "kill", "stop", "s3", "slow", "refuse", "lose", "disk", "term")

    def __init__(self, stack, bucket, front, scratch, start, n_workers, seed):
        self.bucket, self.front, self.scratch = bucket, front, scratch
        super().__init__(stack, start, n_workers, SESSION_S, seed, pause_s=(0.5, 1.5))

    def _under(self, fault, seconds, then=lambda: None):
        self.front.fault = fault
        time.sleep(seconds)
        then()
        self.front.fault = lambda method, path: None

    def _do_stop(self):
        """A zombie: it stops while objects are on their way, and wakes when others have taken its partitions."""
        self.front.fault = some_of(self.random, 1.5, 1)
        deadline = time.monotonic() + 20
        while self.front.n_writing == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        super()._do_stop()
        self.front.fault = lambda method, path: None

    def _do_s3(self):
        self.bucket.proxy.stop()
        time.sleep(self.random.uniform(0.5, 2))
        self.bucket.proxy.start()

    def _do_slow(self):
        """Beyond the request's time-out, too: 5 s. A kill in the midst of it."""
        slow = self.random.choice((2, 7))
        self._under(some_of(self.random, slow, 0.7), 3, self._do_kill)

    def _do_refuse(self):
        self._under(some_of(self.random, "refuse", 0.7), 3)

    def _do_lose(self):
        self._under(some_of(self.random, "lose", 0.5), 3, self._do_kill)

    def _do_disk(self):
        self.scratch.fill()
        time.sleep(3)
        self.scratch.free()


def start_any(stack, bucket, front, scratch, name):
    """Each process cuts its ranges elsewhere, and lays them out in its own way."""
    i = int(name[1:])
    return start_worker(stack, bucket, name, ready=False, endpoint=front.url, scratch=scratch.folder,
                        file_max_rows=100 + 130 * (i % 4), raw_max_age_ms=900 + 500 * (i % 3), prefix="ab"[i % 2],
                        hours=(1, 6)[i % 3 == 0], tenant_level=i % 3 == 1)


def test_every_row_once_under_disturbances(stack, say):
    stack.create_topic(TOPIC, PARTITIONS)
    bucket, scratch, feeder = Bucket(stack), Scratch(stack), Feeder(stack, rate=60 if DISTURBANCES < 50 else 10)
    front = HttpProxy(free_ports(1), bucket.proxy.port)
    stack.at_stop.append(front.stop)
    feeder.start()
    chaos = ParquetChaos(stack, bucket, front, scratch, lambda name: start_any(stack, bucket, front, scratch, name), 3, seed=29)
    chaos.run(DISTURBANCES)
    feeder.stop()
    wait_caught_up(stack, GROUP, [TOPIC])
    audit = Audit(stack, bucket, s3_dies=True)
    existed = sum(counter.metric(w, 'sluice_s3_objects_total{table="samples",outcome="existed"}') for w in chaos.running())
    say(f"{audit}; {chaos.summary(counter.metric)}, requests {front.counts}, {existed:.0f} objects were there already, "
        f"{'a full disk' if scratch.mounted else 'a scratch folder that went'}")
    chaos.finish()
    assert audit.problems == [] and audit.n_rows > 1000
    code, said = parquet_audit.verify_by_tool(stack, bucket)
    assert code == 0, said
    assert set(chaos.exit_codes) <= {-9, 0, 3}


# the places where it breaks


@pytest.fixture
def proxied(tmp_path):
    stack, proxy, bootstrap = counter.proxied_stack(StackUnderTest, tmp_path / "stack")
    stack.create_topic(TOPIC, 1)
    yield stack, proxy, bootstrap, Bucket(stack)
    proxy.stop()
    stack.stop()


def send(stack, n):
    producer = stack.producer()
    for i in range(n):
        producer.produce(TOPIC, batches.batch("gs-1", server_points(random.Random(i), 10), T0_MS + i, offset=i), partition=0)
    assert producer.flush(30) == 0


def start_first(proxied, fault, **keys):
    """Through the proxy, its partition begun. A range is ten records."""
    stack, _, bootstrap, bucket = proxied
    worker = start_worker(stack, bucket, "p1", "faults", **{
        "kafka.bootstrap.servers": bootstrap, "file_max_rows": 100, "raw_max_age_ms": 86_400_000, "log_level": "debug",
        **({fault: True} if fault else {}), **keys})
    wait_for(lambda: committed(stack) == (0, ""), what="the partition's begin")
    return worker


def committed(stack):
    return stack.committed(GROUP, TOPIC).get(0)


def problems_after(stack, bucket, worker):
    """The first is killed; the second cuts its ranges elsewhere."""
    worker.process.kill()
    start_worker(stack, bucket, "p2", file_max_rows=70)
    wait_caught_up(stack, GROUP, [TOPIC])
    return Audit(stack, bucket).problems


class Hold:
    """Holds requests of a key from the n-th on; one, or all."""

    def __init__(self, api_key, n=1, all_after=False):
        self.api_key, self.n, self.all_after = api_key, n, all_after
        self.held = []
        self.seen = threading.Event()

    def __call__(self, request):
        if request.api_key != self.api_key:
            return False
        self.n -= 1
        if self.n > 0 or (self.n < 0 and not self.all_after):
            return False
        self.held.append(request)
        self.seen.set()
        return True


@pytest.mark.parametrize("fault", [None, "fault.put_before_intent"])
def test_killed_before_the_intent_is_decided(proxied, fault):
    stack, proxy, _, bucket = proxied
    worker = start_first(proxied, fault)
    proxy.hold = hold = Hold(END_TXN, all_after=True)
    send(stack, 25)
    assert hold.seen.wait(30)
    if fault:
        wait_for(bucket.keys, what="an object")
    assert bool(bucket.keys()) == bool(fault)
    proxy.cut()
    wrong = problems_after(stack, bucket, worker)
    assert bool(wrong) == bool(fault), wrong


@pytest.mark.parametrize("fault", [None, "fault.repeat_commit"])
def test_a_late_commit_does_not_erase_an_intent(proxied, fault):
    """The last commit of a range is held back, its repetition lands; the held one comes while the next intent is being
    committed, and the worker is killed when the objects of that intent are there."""
    stack, proxy, _, bucket = proxied
    worker = start_first(proxied, fault, **{"kafka.socket.timeout.ms": 1500, "transaction_timeout_ms": 5000})
    proxy.hold = late = Hold(TXN_OFFSET_COMMIT, n=2)  # the first is the intent's
    send(stack, 10)
    assert late.seen.wait(30)
    wait_for(lambda: committed(stack) == (10, ""), what="the repetition")
    before = set(bucket.keys())
    proxy.hold = end = Hold(END_TXN)
    send(stack, 10)
    assert end.seen.wait(30)
    late.held[0].release()
    assert late.held[0].answered.wait(10)
    proxy.hold = Hold(TXN_OFFSET_COMMIT, all_after=True)
    end.held[0].release()
    wait_for(lambda: set(bucket.keys()) - before, what="objects of the next range")
    worker.process.kill()
    proxy.cut()
    send(stack, 5)
    wrong = problems_after(stack, bucket, worker)
    assert bool(wrong) == bool(fault), wrong


def test_a_commit_without_an_answer_is_given_up(proxied):
    """Neither intents nor offsets are answered for a while: the partition begins anew each time, nothing is stored before."""
    stack, proxy, _, bucket = proxied
    worker = start_first(proxied, None, **{"kafka.socket.timeout.ms": 1500, "transaction_timeout_ms": 3000})
    proxy.hold = Hold(TXN_OFFSET_COMMIT, all_after=True)
    send(stack, 25)
    aborted = 'sluice_transactions_total{outcome="aborted"}'
    wait_for(lambda: counter.metric(worker, aborted) >= 2, 60, "commits to be given up")
    assert bucket.keys() == {} and committed(stack) == (0, "")
    proxy.hold = None
    wait_for(lambda: (committed(stack) or (0, ""))[0] >= 20, 60, "the offsets")
    assert problems_after(stack, bucket, worker) == []


PARTS = {"multipart_bytes": 5 << 20, "part_bytes": 5 << 20, "file_max_rows": 8000, "raw_max_age_ms": 60_000}


def behind_front(stack):
    """A bucket with a proxy in front, and a range of two parts in the topic."""
    stack.create_topic(TOPIC, 1)
    bucket = Bucket(stack)
    front = HttpProxy(free_ports(1), bucket.proxy.port)
    stack.at_stop.append(front.stop)
    rng, producer = random.Random(4), stack.producer()
    for i in range(8):
        points = [batches.gauge("large", rng.random(), build_id=rng.randbytes(500).hex()) for _ in range(1000)]
        producer.produce(TOPIC, batches.batch("gs-1", points, T0_MS + i, offset=i), partition=0)
    assert producer.flush(60) == 0
    return bucket, front


def check_in_parts(stack, bucket, say):
    wait_caught_up(stack, GROUP, [TOPIC])
    audit = Audit(stack, bucket)
    say(str(audit))
    assert audit.problems == [] and audit.n_bytes > 5 << 20 and len(audit.keys) == 1


def test_parts_of_a_killed_upload_do_not_stay(stack, say):
    """Killed before the last part's end is told: whoever redoes the range aborts what lies there."""
    bucket, front = behind_front(stack)
    never = threading.Event()
    front.fault = lambda method, path: never if method == "POST" and "uploadId=" in path else None
    first = start_worker(stack, bucket, "p1", endpoint=front.url, request_timeout_ms=60_000, **PARTS)
    wait_for(lambda: front.counts.get("hold"), 60, "an upload whose end is held back")
    assert len(bucket.unfinished()) == 1
    first.process.kill()
    second = start_worker(stack, bucket, "p2", **PARTS)
    check_in_parts(stack, bucket, say)
    assert counter.metric(second, "sluice_s3_uploads_aborted_total") == 1


def test_parts_that_could_not_be_aborted_do_not_stay(stack, say):
    """S3 refuses a part, and the abort as well: the next try of the same process begins with that."""
    bucket, front = behind_front(stack)
    front.fault = lambda method, path: "refuse" if "partNumber=2" in path or method == "DELETE" else None
    start_worker(stack, bucket, "p1", endpoint=front.url, **PARTS)
    wait_for(bucket.unfinished, 60, "an upload that is left")
    wait_for(lambda: front.counts.get("refuse", 0) >= 4, 60, "an abort that is refused")
    front.fault = lambda method, path: None
    check_in_parts(stack, bucket, say)


def test_the_end_of_an_upload_is_stored_and_its_answer_lost(stack, say):
    bucket, front = behind_front(stack)
    front.fault = lambda method, path: "lose" if method == "POST" and "uploadId=" in path and not front.counts else None
    start_worker(stack, bucket, "p1", endpoint=front.url, **PARTS)
    check_in_parts(stack, bucket, say)
    assert front.counts == {"lose": 1}
