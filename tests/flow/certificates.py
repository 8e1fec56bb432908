"""Certificates of a CA of the test's own, by openssl: PEM files, valid for a day."""
import subprocess

from deploy.local.places import HOST


class Authority:
    """name.pem is the CA's certificate; issue() makes <name>.key (PKCS 8), <name>.pem and <name>.both, key and certificate in one file."""

    def __init__(self, directory, name="ca"):
        self.directory, self.name = directory, name
        directory.mkdir(parents=True, exist_ok=True)
        self._openssl("req", "-x509", "-new", *self._new_key(name), "-subj", f"/CN={name}", "-days", "1", "-out", self.path(f"{name}.pem"))

    @property
    def certificate(self):
        return self.path(f"{self.name}.pem")

    def path(self, name):
        return self.directory / name

    def issue(self, name):
        """For clients and for servers on this machine. The path of the certificate; the others are beside it."""
        request, extensions = self.path(f"{name}.csr"), self.path(f"{name}.ext")
        extensions.write_text(f"subjectAltName=IP:{HOST},DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n")
        self._openssl("req", "-new", *self._new_key(name), "-subj", f"/CN={name}", "-out", request)
        self._openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.path(f"{self.name}.key"), "-CAcreateserial",
                      "-days", "1", "-extfile", extensions, "-out", self.path(f"{name}.pem"))
        self.path(f"{name}.both").write_text(self.path(f"{name}.key").read_text() + self.path(f"{name}.pem").read_text())
        return self.path(f"{name}.pem")

    def _new_key(self, name):
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.path(f"{name}.key")

    @staticmethod
    def _openssl(*arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
