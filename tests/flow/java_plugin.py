"""Plug-ins for real brokers, in Java, compiled for the test that needs them."""
import subprocess

from deploy.local.kafka import java
from deploy.local.places import ROOT


def compiled(source, classes):
    """The folder classes, with what the source file makes against Kafka's client library."""
    subprocess.run([ROOT / "deploy/deps/ecj"], check=True, timeout=300)
    compiler, = (ROOT / "build/deps/ecj/lib").glob("ecj-*.jar")
    client, = (ROOT / "build/deps/kafka/lib").glob("kafka-clients-*.jar")
    subprocess.run([java(), "-jar", str(compiler), "--release", "17", "-cp", str(client), "-d", str(classes), str(source)],
                   check=True, timeout=120)
    return classes
