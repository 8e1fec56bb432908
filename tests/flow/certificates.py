"""A certificate authority for tests: openssl's command line, EC keys, on files."""
import subprocess
from pathlib import Path


def _openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


class Authority:
    def __init__(self, directory, name="ca"):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.path, self.key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                 "-subj", f"/CN=test {name}", "-keyout", self.key, "-out", self.path,
                 "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")

    def issue(self, name, cn, names="DNS:localhost,IP:127.0.0.1", usage="serverAuth", expired=False):
        """(certificate, key): paths. names: subject alternative names; None = none."""
        path, key, request = (self.directory / f"{name}.{end}" for end in ("pem", "key", "csr"))
        extensions = self.directory / f"{name}.ext"
        extensions.write_text(f"basicConstraints=CA:FALSE\nextendedKeyUsage={usage}\n" +
                              (f"subjectAltName={names}\n" if names else ""))
        _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={cn}",
                 "-keyout", key, "-out", request)
        if expired:  # openssl x509 knows days only; ca takes dates
            self._issue_dated(request, path, extensions)
        else:
            _openssl("x509", "-req", "-in", request, "-CA", self.path, "-CAkey", self.key, "-CAcreateserial",
                     "-days", "30", "-extfile", extensions, "-out", path)
        return path, key

    def _issue_dated(self, request, path, extensions):
        config, index = self.directory / "ca.cnf", self.directory / "index.txt"
        index.write_text("")
        config.write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={index}\nnew_certs_dir={self.directory}\n"
                          f"rand_serial=yes\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
        _openssl("ca", "-batch", "-config", config, "-cert", self.path, "-keyfile", self.key, "-in", request, "-out", path,
                 "-extfile", extensions, "-startdate", "20200101000000Z", "-enddate", "20200201000000Z", "-notext")
