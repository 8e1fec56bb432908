"""The gateway's two doors in the local stack: plain HTTP with tokens, and HTTPS for clients with a certificate of the stack's own CA.
The CA and the tokens are made at the first start and kept, so that clients need not be set up anew."""
import os
import subprocess

from deploy.local.certificates import Authority
from deploy.local.places import HOST, StackError, port_is_free
from deploy.local.topics import TENANTS

DAYS = 365
PRINCIPAL = "spiffe://sluice.local/{}"  # as deploy/local/policy.json says


class Doors:
    def __init__(self, places):
        self.places = places
        self.dir = places.dir / "gateway"
        self.port = places.port("gateway_http")
        self.tls_port = places.port("gateway_mtls")
        self.tokens_path = self.dir / "tokens"

    @property
    def url(self):
        return f"http://{HOST}:{self.port}"

    @property
    def tls_url(self):
        return f"https://{HOST}:{self.tls_port}"

    @property
    def certs(self):
        return self.dir / "certs"

    def check_ports(self):
        for part, port in (("gateway_http", self.port), ("gateway_mtls", self.tls_port)):
            if not port_is_free(port):
                raise StackError(f"port {port} (the gateway's door) is in use; {self.places.hint(part)}")

    def prepare(self):
        """Certificates and tokens, as far as they are not there yet."""
        authority = Authority(self.certs, days=DAYS)
        authority.issue("gateway", usage="serverAuth")
        are_known = self.tokens_path.exists()  # before the first new one makes it
        for tenant in TENANTS:
            authority.issue(tenant, names=f"URI:{PRINCIPAL.format(tenant)}", usage="clientAuth")
            path = self.token_path(tenant)
            if not (are_known and path.exists()):
                self._write_secret(path, self._new_token(tenant) + "\n")

    def keys(self):
        """Of the worker's configuration."""
        return {"tokens": str(self.tokens_path), "address": HOST, "port": self.port, "tls_port": self.tls_port,
                "tls_certificate": str(self.certs / "gateway.pem"), "tls_key": str(self.certs / "gateway.key"),
                "tls_client_ca": str(self.certs / "ca.pem"), "drain_ms": 0}

    def endpoints(self):
        return {"gateway": self.url, "gateway_mtls": self.tls_url,
                "tokens": {tenant: self.token_path(tenant).read_text().strip() for tenant in TENANTS},
                "certs": {"ca": str(self.certs / "ca.pem"),
                          **{tenant: {"cert": str(self.certs / f"{tenant}.pem"), "key": str(self.certs / f"{tenant}.key")}
                             for tenant in TENANTS}}}

    def token_path(self, tenant):
        return self.dir / f"token-{tenant}"

    def _new_token(self, tenant):
        done = subprocess.run([self.places.binary("sluice-gateway"), "token", "create", "--tenant", tenant,
                               "--set", f"tokens={self.tokens_path}"], capture_output=True, text=True, check=False, timeout=60)
        if done.returncode != 0:
            raise StackError(f"sluice-gateway token create: {done.stderr.strip()}")
        return done.stdout.strip()

    @staticmethod
    def _write_secret(path, text):
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            f.write(text)
