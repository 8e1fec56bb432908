"""S3Proxy on loopback in S3's place: it serves a folder, checks SigV4 and honours If-None-Match, except between writers that race."""
import shutil

from deploy.local.kafka import java
from deploy.local.places import HOST, StackError, port_is_free
from deploy.local.process import Process

START_TIMEOUT_S = 60
LOG = """<configuration><appender name="o" class="ch.qos.logback.core.ConsoleAppender"><encoder>
<pattern>%d %level %logger{0} %msg%n</pattern></encoder></appender><root level="info"><appender-ref ref="o"/></root></configuration>
"""
IDENTITY, SECRET = "AKIALOCAL", "local/secret+key"
BUCKET = "metrics"


class S3Proxy:
    """Its state is places.data/s3; stop() keeps it, start() serves it again."""

    def __init__(self, places, port, die_with_parent=True):
        self.places, self.port, self.die_with_parent = places, port, die_with_parent
        self.process = Process("s3proxy", places.run, places.logs / "s3proxy.log", grace_s=0)

    @property
    def url(self):
        return f"http://{HOST}:{self.port}"

    def start(self, buckets=()):
        if not port_is_free(self.port):
            raise StackError(f"port {self.port} (s3proxy) is in use")
        folder = self.places.data / "s3"
        for bucket in buckets:
            (folder / bucket).mkdir(parents=True, exist_ok=True)
        config = self.places.config / "s3proxy.properties"
        config.write_text(
            f"s3proxy.endpoint={self.url}\ns3proxy.authorization=aws-v4\ns3proxy.identity={IDENTITY}\n"
            f"s3proxy.credential={SECRET}\ns3proxy.ignore-unknown-headers=true\njclouds.provider=filesystem-nio2\njclouds.identity=local\njclouds.credential=local\njclouds.filesystem.basedir={folder}\n")
        log = self.places.config / "s3proxy-logback.xml"
        log.write_text(LOG)
        jars = sorted(str(p) for p in (self.places.deps / "s3proxy/lib").glob("*.jar"))
        if not jars:
            raise StackError("S3Proxy's jars are missing; deploy/deps/s3proxy fetches them")
        seen = self.process.log_path.stat().st_size if self.process.log_path.exists() else 0
        self.process.start([java(), "-XX:+UseSerialGC", "-Xmx256m", "-XX:TieredStopAtLevel=1",
                            f"-Dlogback.configurationFile={log}", "-cp", ":".join(jars),
                            "org.gaul.s3proxy.Main", "--properties", str(config)], self.die_with_parent)
        self.process.wait_until(lambda: "Started" in self.process.log_text(seen) and not port_is_free(self.port),
                                START_TIMEOUT_S, "does not serve")

    def stop(self):
        self.process.kill()

    def forget(self):
        shutil.rmtree(self.places.data / "s3", ignore_errors=True)
