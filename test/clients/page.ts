import { type Suite, ways } from './client-suite.js';

const introduction = `# Compatibility

<!-- Made by \`UPDATE_DOCS=1 npx vitest run test/clients\` from the run itself; a test fails while it does not list what is run. -->

Real programs, each through a running gateway, with the token in the proxy URL (\`http://any:TOKEN@host:9080\`). \`npm test\` runs all of them
again, as far as they are installed; what is missing is skipped, visibly.

| column | what is shown |
|---|---|
| intercepted | HTTPS to a server that answers 401 without its credential. The program never had it: neither its arguments and variables nor its output hold it. The server saw it in every request. |
| plain | \`http://\`, in absolute form or through CONNECT, whichever the program chooses. |
| tunnel | HTTPS to a host with a \`passthrough\` rule. The program trusts only that host's own authority, so the TLS is end to end. |
`;

/** The page for these suites when all of their cases work, with these versions by the names of the clients. */
export function compatibilityPage(suites: readonly Suite[], versions: ReadonlyMap<string, string>): string {
  const table = ['| client | version | intercepted | plain | tunnel | set up with |', '|---|---|---|---|---|---|'];
  const details: string[] = [];
  for (const { client, cases } of suites) {
    const done = ways.map((way) => ({ way, titles: cases.filter((one) => one.way === way).map(({ title }) => title) }));
    const cells = done.map(({ titles }) => (titles.length === 0 ? '–' : '✓'));
    table.push(`| ${[client.name, versions.get(client.name) ?? '?', ...cells, client.setup].join(' | ')} |`);
    const lines = done.filter(({ titles }) => titles.length > 0).map(({ way, titles }) => `- ${way}: ${titles.join('; ')}`);
    details.push(`### ${client.name}\n\n${lines.join('\n')}\n`);
  }
  return `${introduction}\n${table.join('\n')}\n\n## What was run\n\n${details.join('\n')}`;
}

/** The versions that a page names, by the names of the clients. */
export function versionsIn(page: string): ReadonlyMap<string, string> {
  const versions = new Map<string, string>();
  for (const [, client, version] of page.matchAll(/^\| ([^|]+) \| ([^|]+) \| [✓–] /gm)) versions.set(client, version);
  return versions;
}
