/** Certificates for tests, by openssl: ask for that peer first. */
import { execFileSync } from "node:child_process";

/** Where a certificate lies, and its key. */
export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Makes `STEM.crt`, which is good for 127.0.0.1 and localhost for two days and is its own authority, and its key `STEM.key`. `serial`: its number. */
export function makeCertificate(stem: string, serial = 1): CertificateFiles {
  const files = { certFile: `${stem}.crt`, keyFile: `${stem}.key` };
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", files.keyFile];
  const words = [
    "req",
    "-x509",
    ...key,
    "-out",
    files.certFile,
    "-days",
    "2",
    "-set_serial",
    String(serial),
    ...subject,
  ];
  execFileSync("openssl", words, { stdio: "ignore" });
  return files;
}
