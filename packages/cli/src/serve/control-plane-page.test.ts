import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { cleanUp, type Workplace, workplace } from '../command-line.test.support.js';

const page = readFileSync(new URL('../../../../docs/control-plane.md', import.meta.url), 'utf8');
const command = fileURLToPath(new URL('../../bin/sallyport.mjs', import.meta.url));

afterEach(cleanUp);

/** The blocks of the page, in its order. */
const blocks = [...page.matchAll(/^```(sh|yaml)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({ language, text }));

async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve) => {
          const server = createServer().listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => (server.address() as { readonly port: number }).port);
  for (const server of servers) server.close();
  return ports;
}

/** Runs what stands in a block as a person would paste it: in the folder of the test, with `sallyport` on the path. */
function paste(place: Workplace, text: string): Promise<{ readonly code: number | null; readonly output: string }> {
  const env = { HOME: place.home, PATH: `${place.directory}/bin:${process.env.PATH}` };
  const child = spawn('bash', ['-euo', 'pipefail', '-c', text], { cwd: place.directory, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  return new Promise((resolve) => void child.once('close', (code) => resolve({ code, output })));
}

test('docs/control-plane.md: what it says to type does what it says', { timeout: 180_000 }, async () => {
  const place = workplace();
  mkdirSync(`${place.directory}/bin`);
  mkdirSync(place.home);
  place.file('bin/sallyport', `#!/bin/sh\nexec "${process.execPath}" "${command}" "$@"\n`);
  chmodSync(`${place.directory}/bin/sallyport`, 0o755);
  const [open = 0, api = 0, admin = 0, worker = 0] = await freePorts(4);
  const [first = ''] = blocks.flatMap(({ language, text }) => (language === 'yaml' ? [text] : []));
  const services = `  services: { public: { port: ${open} }, api: { port: ${api} }, admin_api: { port: ${admin} }, worker: { port: ${worker} } }\n`;
  const ported = (text: string): string => text.replaceAll(':8082', `:${admin}`).replaceAll(':8083', `:${worker}`);
  place.file('sallyport.yaml', `${first}${services}`);

  const outputs: string[] = [];
  let runs = 0;
  for (const { language, text } of blocks) {
    if (language !== 'sh') continue;
    if (text.trim() === 'sallyport serve') {
      const serving = place.start(['serve']);
      await serving.line((line) => line.includes('"The control plane is running"'));
      // Ready when the tasks run, a moment after it listens.
      await expect.poll(() => fetch(`http://127.0.0.1:${worker}/readyz`).then(({ status }) => status), { timeout: 20_000 }).toBe(200);
    } else {
      const { code, output } = await paste(place, ported(text));
      expect({ text, output, code }).toMatchObject({ code: 0 });
      outputs.push(output);
    }
    runs += 1;
  }
  expect(runs).toBeGreaterThanOrEqual(8);
  const said = outputs.join('\n');
  for (const what of [
    'external_id',
    '"path":"root.team"',
    '"message":"pong"',
    '"ok":true',
    'sallyport_control_bus_listening 1',
    '"task_id":"tsk_',
    'The database is up to date.',
  ])
    expect(said).toContain(what);

  // The backup is one: with it alone, another machine knows the same.
  const other = workplace();
  mkdirSync(`${other.home}/.ssh`, { recursive: true });
  const moved = await paste(
    place,
    `cp -p ~/.ssh/sallyport* '${other.home}/.ssh/' && mkdir -m 700 '${other.home}/.sallyport' && cp -p ~/backup/* '${other.home}/.sallyport/'`,
  );
  expect(moved).toMatchObject({ code: 0 });
  const restored = other.start(['serve', 'admin-api', '--config', other.file('sallyport.yaml', `${first}  services: { admin_api: { port: 0 } }\n`)]);
  const line = JSON.parse(await restored.line((text) => text.includes('"The control plane is running"'))) as Readonly<Record<string, number>>;
  const token = await other.run(['sign-jwt', '--actor', 'ada', '--private-key', `${other.home}/.ssh/sallyport`]);
  const answer = await fetch(`http://127.0.0.1:${line['admin-api']}/namespaces/root.team`, {
    headers: { authorization: `Bearer ${token.stdout.trim()}` },
  });
  expect(answer.status).toBe(200);
});

test.each(blocks.filter(({ language }) => language === 'yaml').map(({ text }, index) => [index + 1, text] as const))(
  'docs/control-plane.md: configuration %i is valid',
  async (_, text) => {
    const place = workplace();
    mkdirSync(`${place.home}/.ssh`, { recursive: true });
    place.file('home/.ssh/sallyport.pub', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF6/30XH0IWEhB4n5WdBLKHWmWDTGwhRUoSjFOxrOyBE ada\n');
    const config = place.file('sallyport.yaml', text);
    const key = 'a-key-of-32-bytes-or-even-longer';
    const env = {
      DATABASE_URL: 'postgres://me@db.example/sallyport?sslmode=verify-full',
      SALLYPORT_GLOBAL_KEY: key,
      SALLYPORT_GLOBAL_KEY_BEFORE: key,
    };
    expect(await place.run(['config', 'check', '--config', config], env)).toMatchObject({ code: 0 });
  },
);
