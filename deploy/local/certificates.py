"""A certificate authority of a stack's or a test's own, by openssl's command line: EC keys, PEM files."""
import subprocess
from pathlib import Path

from deploy.local.places import HOST, StackError

DAY_S = 86400


def _openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise StackError(f"openssl {arguments[0]}: {done.stderr.strip()}")


class Authority:
    """What its directory holds already is kept, unless two thirds of its days are over: a stack that starts anew is known to its clients."""

    def __init__(self, directory, name="ca", days=30):
        self.directory, self.days = Path(directory), days
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path, self.key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        if not self._lasts(self.path):
            for old in self.directory.glob("*.pem"):
                old.unlink()
            _openssl("req", "-x509", *self._new_key(self.key), "-days", days, "-subj", f"/CN=sluice {name}", "-out", self.path,
                     "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")

    def issue(self, name, cn=None, names=f"DNS:localhost,IP:{HOST}", usage="serverAuth,clientAuth", expired=False):
        """(certificate, key): paths, and <name>.both with key and certificate in one file. names: subject alternative ones; None = none."""
        path, key, request, extensions = (self.directory / f"{name}.{end}" for end in ("pem", "key", "csr", "ext"))
        if self._lasts(path):
            return path, key
        extensions.write_text(f"basicConstraints=CA:FALSE\nextendedKeyUsage={usage}\n" + (f"subjectAltName={names}\n" if names else ""))
        _openssl("req", "-new", *self._new_key(key), "-subj", f"/CN={cn or name}", "-out", request)
        if expired:  # openssl x509 knows days only; ca takes dates
            self._issue_dated(request, path, extensions)
        else:
            _openssl("x509", "-req", "-in", request, "-CA", self.path, "-CAkey", self.key, "-CAcreateserial",
                     "-days", self.days, "-extfile", extensions, "-out", path)
        (self.directory / f"{name}.both").write_text(key.read_text() + path.read_text())
        return path, key

    def _issue_dated(self, request, path, extensions):
        config, index = self.directory / "ca.cnf", self.directory / "index.txt"
        index.write_text("")
        config.write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={index}\nnew_certs_dir={self.directory}\n"
                          f"rand_serial=yes\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
        _openssl("ca", "-batch", "-config", config, "-cert", self.path, "-keyfile", self.key, "-in", request, "-out", path,
                 "-extfile", extensions, "-startdate", "20200101000000Z", "-enddate", "20200201000000Z", "-notext")

    def _lasts(self, path):
        return path.exists() and subprocess.run(["openssl", "x509", "-in", path, "-noout", "-checkend", str(self.days * DAY_S // 3)],
                                                capture_output=True, check=False, timeout=60).returncode == 0

    @staticmethod
    def _new_key(path):
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path
