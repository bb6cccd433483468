import type { Suite } from './client-suite.js';
import { ask, type Library, librarySuite } from './library-suite.js';
import { cached, packageVersionOf, programFile } from './program-files.js';
import { expectInjected } from './proofs.js';
import { versionOf } from './run-client.js';

const node24 = cached('node24', 'node_modules', 'node', 'bin', 'node');
const inNode = `in Node ${process.versions.node}`;

/** Runs one of the Node programs with the Node of the tests. */
function nodeCommand(program: string): Library['command'] {
  return () => [process.execPath, programFile(program)];
}

function withNode(version: string | null): string | null {
  return version === null ? null : `${version} ${inNode}`;
}

const trust = '`NODE_EXTRA_CA_CERTS`';

const fetchWithDispatcher: Library = {
  name: 'Node fetch',
  version: withNode(packageVersionOf('undici')),
  source: 'npm, the package undici',
  setup: `\`setGlobalDispatcher(new ProxyAgent(…))\` of undici; ${trust}`,
  command: nodeCommand('node-fetch.mjs'),
};

const fetchWithEnvironment: Library = {
  name: 'Node fetch, Node 24',
  version: versionOf(node24, ['--version'], /^v(\S+)/),
  source: '`npm test`, which installs Node 24 into .cache',
  setup: `\`NODE_USE_ENV_PROXY=1\` with \`HTTPS_PROXY\`, \`HTTP_PROXY\`; ${trust}`,
  command: () => [node24, programFile('node-fetch-env.mjs')],
  env: { NODE_USE_ENV_PROXY: '1' },
};

const undici: Library = {
  name: 'undici request',
  version: withNode(packageVersionOf('undici')),
  source: 'npm, the package undici',
  setup: `\`EnvHttpProxyAgent\` with \`HTTPS_PROXY\`, \`HTTP_PROXY\`; ${trust}`,
  command: nodeCommand('undici-request.mjs'),
};

const axios: Library = {
  name: 'axios',
  version: withNode(packageVersionOf('axios')),
  source: 'npm, the package axios',
  setup: `\`HTTPS_PROXY\`, \`HTTP_PROXY\`; ${trust}`,
  command: nodeCommand('axios.mjs'),
};

const https: Library = {
  name: 'node:https',
  version: process.versions.node,
  source: 'nodejs.org',
  setup: `an agent that opens its connections with CONNECT; ${trust}`,
  command: nodeCommand('node-https.mjs'),
};

/** The suites of Node's own clients and of those that npm has for it. */
export function nodeSuites(): Suite[] {
  const withoutConnect = librarySuite(https, ({ intercepted }) => {
    intercepted('`https://` in the request line, without CONNECT', async (world) => {
      await ask(https, world, world.gatewayCa, ['GET', `${world.api}/echo/absolute`], { ABSOLUTE_FORM: '1' });
      await expectInjected(world, '/echo/absolute');
    });
  });
  return [...[fetchWithDispatcher, fetchWithEnvironment, undici, axios].map((library) => librarySuite(library)), withoutConnect];
}
