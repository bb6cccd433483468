import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Files of a throw-away CA and of a leaf for localhost and 127.0.0.1; P-256 throughout. `pair` is leaf and key in one file.
 * @typedef {{ ca: string, caKey: string, cert: string, key: string, pair: string }} Certificates
 */

/**
 * Makes them with the openssl command.
 * @param {string} openssl
 * @param {string} dir
 * @returns {Certificates}
 */
export function makeCertificates(openssl, dir) {
  /** @param {string} name */
  const at = (name) => join(dir, name);
  /** @param {string[]} args */
  const run = (args) => execFileSync(openssl, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const files = { ca: at('ca.crt'), caKey: at('ca.key'), cert: at('leaf.crt'), key: at('leaf.key'), pair: at('leaf.pem') };

  writeFileSync(at('ca.cnf'), '[req]\ndistinguished_name=dn\n[dn]\n[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n');
  writeFileSync(at('leaf.cnf'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\nkeyUsage=critical,digitalSignature\n');
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-config', at('ca.cnf')];
  run(['req', '-x509', ...newKey, '-keyout', files.caKey, '-out', files.ca, '-days', '2', '-subj', '/CN=bench CA', '-extensions', 'ca']);
  run(['req', ...newKey, '-keyout', files.key, '-out', at('leaf.csr'), '-subj', '/CN=localhost']);
  const signing = ['-CA', files.ca, '-CAkey', files.caKey, '-set_serial', '2', '-days', '2', '-extfile', at('leaf.cnf')];
  run(['x509', '-req', '-in', at('leaf.csr'), ...signing, '-out', files.cert]);

  writeFileSync(files.pair, readFileSync(files.cert, 'utf8') + readFileSync(files.key, 'utf8'));
  for (const secret of [files.caKey, files.key, files.pair]) chmodSync(secret, 0o600);
  return files;
}
