import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Suite } from './client-suite.js';
import { type Library, librarySuite } from './library-suite.js';
import { cached, programFile } from './program-files.js';
import { versionOf } from './run-client.js';

const version = versionOf('go', ['version'], /go version go(\S+)/);

const netHttp: Library = {
  name: 'Go net/http',
  version,
  source: 'go.dev, or the Debian package golang-go',
  setup: '`HTTPS_PROXY`, `HTTP_PROXY`; `SSL_CERT_FILE`',
  command: async () => [await built()],
};

/** The path of the program, built once for each version of it and of Go. */
async function built(): Promise<string> {
  const source = programFile('client.go');
  const key = createHash('sha256')
    .update(`${version}\n${readFileSync(source, 'utf8')}`)
    .digest('hex')
    .slice(0, 16);
  const binary = cached('clients', `go-${key}`);
  if (!existsSync(binary)) await promisify(execFile)('go', ['build', '-o', binary, source], { env: { ...process.env, GOTOOLCHAIN: 'local' } });
  return binary;
}

/** The suite of Go. */
export function goSuite(): Suite {
  return librarySuite(netHttp);
}
