// Certificates for the tests, made by the openssl command when they are needed.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { run } from './harness.mjs';

// A self-signed certificate in dir: {cert, key: paths, pem: the certificate's text}
export async function makeCert(dir, name = 'localhost', { file = name, passphrase, rsa = false } = {}) {
  const cert = path.join(dir, `${file}.pem`), key = path.join(dir, `${file}-key.pem`);
  const kind = rsa ? ['rsa:2048'] : ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  const lock = passphrase ? ['-passout', `pass:${passphrase}`] : ['-nodes'];
  const args = ['req', '-x509', '-newkey', ...kind, ...lock, '-keyout', key, '-out', cert, '-days', '2', '-subj', `/CN=${name}`];
  const got = await run('openssl', [...args, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1'], { cwd: dir });
  if (got.code !== 0) throw new Error(`openssl ${args.join(' ')}: ${got.stderr}`);
  return { cert, key, pem: readFileSync(cert, 'utf8') };
}
