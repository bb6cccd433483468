import type { Suite } from './client-suite.js';
import { type Library, librarySuite } from './library-suite.js';
import { cachedOr, programFile } from './program-files.js';
import { versionOf } from './run-client.js';

const python = cachedOr('python3', 'python', 'bin', 'python');

function library(name: string, setup: string): Library {
  return {
    name: `Python ${name}`,
    version: versionOf(python, ['-c', `import ${name}; print("version", ${name}.__version__)`], /^version (\S+)/),
    source: '`node scripts/install-test-tools.mjs`, which installs it from PyPI into .cache',
    setup: `\`HTTPS_PROXY\`, \`HTTP_PROXY\`; ${setup}`,
    command: () => [python, programFile(`with_${name}.py`)],
  };
}

const urllib: Library = {
  name: 'Python urllib',
  version: versionOf(python, ['--version'], /^Python (\S+)/),
  source: 'python.org, or the Debian package python3',
  setup: '`https_proxy`, `http_proxy`; `SSL_CERT_FILE`',
  command: () => [python, programFile('with_urllib.py')],
};

/** The suites of Python's own client and of those that PyPI has. */
export function pythonSuites(): Suite[] {
  return [library('requests', '`REQUESTS_CA_BUNDLE`'), library('httpx', '`SSL_CERT_FILE`'), urllib].map((one) => librarySuite(one));
}
