"""Prometheus as the store: takes remote write, native histograms, and samples out of order."""
import shutil
import urllib.request

from deploy.local.places import HOST, StackError, port_is_free
from deploy.local.process import Process

OUT_OF_ORDER_WINDOW = "10m"


class Prometheus:
    def __init__(self, places, die_with_parent=True, part="prometheus"):
        self.places = places
        self.die_with_parent = die_with_parent
        self.part = part
        self.process = Process(part, places.run, places.logs / f"{part}.log")

    @property
    def url(self):
        return f"http://{HOST}:{self.places.port(self.part)}"

    @property
    def write_url(self):
        return f"{self.url}/api/v1/write"

    def check_port(self):
        port = self.places.port(self.part)
        if not port_is_free(port):
            raise StackError(f"port {port} (Prometheus) is in use; {self.places.hint(self.part)}")

    def start(self):
        """Fresh and empty; ready() tells when it serves."""
        self.check_port()
        program = shutil.which("prometheus")
        if program is None:
            raise StackError("prometheus is missing; deploy/deps/install installs it")
        data = self.places.data / self.part
        shutil.rmtree(data, ignore_errors=True)
        self.process.log_path.unlink(missing_ok=True)
        config = self.places.config / f"{self.part}.yml"
        config.write_text(f"storage:\n  tsdb:\n    out_of_order_time_window: {OUT_OF_ORDER_WINDOW}\n")
        self._argv = [
            program, f"--config.file={config}", f"--storage.tsdb.path={data}",
            f"--web.listen-address={HOST}:{self.places.port(self.part)}",
            "--web.enable-remote-write-receiver", "--enable-feature=native-histograms",
            "--storage.tsdb.retention.time=2d", "--log.level=info"]
        self.process.start(self._argv, self.die_with_parent)

    def restart(self):
        """Starts it again on the data that it left."""
        self.process.start(self._argv, self.die_with_parent)
        self.wait_ready()

    def ready(self):
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def wait_ready(self):
        self.process.wait_until(self.ready, 30, "is not ready")

    def stop(self):
        self.process.stop()
