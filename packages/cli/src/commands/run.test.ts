import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { callerToken, cleanUp, configFor, through, upstream, type Workplace, workplace } from '../command-line.test.support.js';

afterEach(cleanUp);

const secret = { DEMO_TOKEN: 'open-sesame' };
const node = process.execPath;

/** A workplace with a configuration and an upstream that answers with the Authorization it got. */
async function prepared(options?: Parameters<typeof configFor>[1]): Promise<{ place: Workplace; url: string; config: string }> {
  const place = workplace();
  const port = await upstream((request, response) => response.end(`got ${request.headers.authorization}`));
  return { place, url: `http://127.0.0.1:${port}/`, config: place.file('sallyport.yaml', configFor(port, options)) };
}

const fetching = (url: string): string => `fetch('${url}').then(async (r) => console.log(r.status, await r.text()))`;
const printEnvironment = 'console.log(JSON.stringify(process.env))';

async function environmentOf(place: Workplace, env: Record<string, string>): Promise<Record<string, string>> {
  const { stdout, stderr } = await place.run(['run', '--', node, '-e', printEnvironment], env);
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Record<string, string>;
}

describe('the program', () => {
  test.each([
    ['its exit code', ['sh', '-c', 'exit 7'], 7],
    ['128 and the number of the signal that ended it', ['sh', '-c', 'kill -9 $$'], 137],
    ['127 when it is not there', ['no-such-program'], 127],
    ['126 when it is no program', ['./sallyport.yaml'], 126],
    ['options of its own', [node, '-p', '1', '--config'], 9],
  ])('hands on %s', async (_, command, expected) => {
    const { place } = await prepared();
    expect((await place.run(['run', '--', ...command], secret)).code).toBe(expected);
  });

  test.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'] as const)('gets %s', async (signal) => {
    const { place } = await prepared();
    const running = place.start(
      ['run', '--', node, '-e', `process.on('${signal}', () => process.exit(42)); setInterval(() => {}, 1e6); console.log('ready')`],
      secret,
    );
    await running.line((line) => line === 'ready');
    running.child.kill(signal);
    expect((await running.ended).code).toBe(42);
  });

  test.each([
    ['fetch', fetching],
    ['node:http', (url: string) => `require('http').get('${url}', (r) => { process.stdout.write(r.statusCode + ' '); r.pipe(process.stdout) })`],
  ])('reaches the upstream by %s with the credential that it never had', async (_, code) => {
    const { place, url } = await prepared();
    const { stdout, stderr } = await place.run(['run', '--', node, '-e', code(url)], secret);
    expect(stderr).toBe('');
    expect(stdout.trim()).toBe('200 got Bearer open-sesame');
  });

  test('goes directly to what NO_PROXY names', async () => {
    const { place, url } = await prepared();
    const { stdout } = await place.run(['run', '--', node, '-e', fetching(url)], { ...secret, NO_PROXY: '127.0.0.1' });
    expect(stdout.trim()).toBe('200 got undefined');
  });

  test('may do what --allow and --mode say, without any configuration', async () => {
    const place = workplace();
    const port = await upstream((_, response) => response.end('hello'));
    const url = `http://127.0.0.1:${port}/`;
    const rule = `127.0.0.1:${port} to 127.0.0.0/8`;
    expect((await place.run(['run', '--allow', rule, '--', node, '-e', fetching(url)])).stdout).toBe('200 hello\n');
    expect((await place.run(['run', '--mode', 'strict', '--report', '--', node, '-e', fetching(url)])).stderr).toContain('policy_denied×1');
    expect(existsSync(join(place.home, '.sallyport', 'ca', 'ca.crt'))).toBe(true);
  });
});

describe('the environment', () => {
  test('keeps what the user has, and adds to it', async () => {
    const { place } = await prepared();
    const env = await environmentOf(place, {
      ...secret,
      NO_PROXY: 'internal.example,10.0.0.1',
      no_proxy: '10.0.0.1 other.example',
      NODE_OPTIONS: '--no-deprecation',
      JAVA_TOOL_OPTIONS: '-Xmx1g',
      HTTPS_PROXY: 'http://old.example:1',
      EDITOR: 'ed',
    });
    expect(env.NO_PROXY).toBe('internal.example,10.0.0.1,other.example');
    expect(env.no_proxy).toBe(env.NO_PROXY);
    expect(env.NODE_OPTIONS).toMatch(/^--no-deprecation --import file:\/\/.*node-proxy\.js$/);
    expect(env.JAVA_TOOL_OPTIONS).toMatch(/^-Xmx1g .*-Dhttps\.proxyHost=127\.0\.0\.1 /);
    expect(env.HTTPS_PROXY).toMatch(/^http:\/\/run:[\w-]{43}@127\.0\.0\.1:[0-9]+$/);
    expect(env.EDITOR).toBe('ed');
  });

  test('has no NO_PROXY by itself, no token in what Java prints, and no secret of the configuration', async () => {
    const { place } = await prepared();
    const env = await environmentOf(place, { ...secret, COPY_OF_TOKEN: callerToken });
    expect(env).not.toHaveProperty('NO_PROXY');
    expect(env).not.toHaveProperty('DEMO_TOKEN');
    expect(env).not.toHaveProperty('COPY_OF_TOKEN');
    expect(env.JAVA_TOOL_OPTIONS).not.toContain(new URL(env.HTTPS_PROXY ?? '').password);
    expect(JSON.stringify(env)).not.toContain('open-sesame');
  });

  test('names files with certificates, of which those of the user are part, and which go with the run', async () => {
    const { place } = await prepared();
    expect((await place.run(['ca', 'regenerate', '--confirm', '--ca-dir', 'own'])).code).toBe(0);
    const own = readFileSync(join(place.directory, 'own/ca.crt'), 'utf8').trim();
    const code = `const { readFileSync: read } = require('fs'); const e = process.env;
      console.log(JSON.stringify({ bundle: e.SSL_CERT_FILE, text: read(e.SSL_CERT_FILE, 'utf8'), extra: read(e.NODE_EXTRA_CA_CERTS, 'utf8') }))`;
    const { stdout } = await place.run(['run', '--', node, '-e', code], { ...secret, CURL_CA_BUNDLE: join(place.directory, 'own/ca.crt') });
    const { bundle, text, extra } = JSON.parse(stdout) as { bundle: string; text: string; extra: string };
    const authority = readFileSync(join(place.directory, 'ca/ca.crt'), 'utf8').trim();
    expect(text).toContain(authority);
    expect(text).toContain(own);
    expect(text.match(/BEGIN CERTIFICATE/g)?.length).toBeGreaterThan(50);
    expect(extra.trim()).toBe(authority);
    expect(existsSync(bundle)).toBe(false);
  });
});

describe('the report', () => {
  test('says which hosts were reached and which refused, with the rule that would allow it', async () => {
    const { place, url } = await prepared();
    const { host, port, hostname } = new URL(url);
    const code = `(async () => { for (const u of ['${url}', '${url}a', 'http://refused.example/x']) await fetch(u).then((r) => r.text()) })()`;
    const { stderr } = await place.run(['run', '--report', '--report-json', 'report.json', '--', node, '-e', code], secret);
    expect(stderr).toContain('1 host reached, 1 request refused');
    expect(stderr).toMatch(new RegExp(`${host} +2 requests +200×2 .*demo`));
    expect(stderr).toContain('policy_denied×1');
    expect(stderr).toContain('add the rule "allow refused.example');
    const report = JSON.parse(readFileSync(join(place.directory, 'report.json'), 'utf8')) as object;
    expect(report).toMatchObject({
      hosts: [
        { host: hostname, port: Number(port), requests: 2, statuses: { 200: 2 }, credentials: ['demo'], problems: [] },
        { host: 'refused.example', requests: 0, problems: [{ code: 'policy_denied', outcome: 'refused', count: 1 }] },
      ],
      requests_to_further_hosts: 0,
    });
    expect(stderr + JSON.stringify(report)).not.toContain('open-sesame');
  });

  test('is not asked for: the output is that of the program alone, and the log is in a file, of which twenty are kept', async () => {
    const { place, url } = await prepared();
    const logs = join(place.home, '.sallyport', 'log');
    await place.run(['run', '--', 'true'], secret);
    for (let i = 0; i < 30; i++) place.file(`home/.sallyport/log/run-2000-01-01T00-00-${String(i).padStart(2, '0')}-1.ndjson`, '');
    const { stdout, stderr } = await place.run(['run', '--', node, '-e', fetching(url)], secret);
    expect(stdout).toBe('200 got Bearer open-sesame\n');
    expect(stderr).toBe('');
    const names = readdirSync(logs).sort();
    expect(names).toHaveLength(20);
    expect(readFileSync(join(logs, names.at(-1) as string), 'utf8')).toContain('"msg":"exchange"');
  });
});

describe('a gateway that runs already', () => {
  test('is joined without its secrets, and knows the token only as long as the run lasts', async () => {
    const { place, url, config } = await prepared();
    const gateway = await place.serve(config, secret);
    const code = `console.log(process.env.HTTP_PROXY); ${fetching(url)}`;
    const { stdout, stderr } = await place.run(['run', '--report', '--', node, '-e', code], { DEMO_TOKEN: 'another' });
    const [proxy = '', answer] = stdout.split('\n');
    expect(answer).toBe('200 got Bearer open-sesame');
    expect(stderr).toContain('1 host reached');
    expect(Number(new URL(proxy).port)).toBe(gateway.forward);
    expect((await through(gateway.forward, url, callerToken)).status).toBe(200);
    expect((await through(gateway.forward, url, new URL(proxy).password)).status).toBe(407);
    expect(await gateway.line((line) => line.includes('"caller":"run-'))).toContain('"status":200');
  });

  test('withdraws the token also when the run is killed', async () => {
    const { place, url, config } = await prepared();
    const gateway = await place.serve(config, secret);
    const running = place.start(['run', '--', node, '-e', 'console.log(process.pid + " " + process.env.HTTP_PROXY); setInterval(() => {}, 1e6)']);
    const [pid, proxy = ''] = (await running.line((line) => line.includes('http://'))).split(' ');
    onTestFinished(() => void process.kill(Number(pid), 'SIGKILL'));
    const token = new URL(proxy).password;
    expect((await through(gateway.forward, url, token)).status).toBe(200);
    running.child.kill('SIGKILL');
    await expect.poll(async () => (await through(gateway.forward, url, token)).status).toBe(407);
  });

  test('is not used by a run with rules of its own', async () => {
    const { place, url, config } = await prepared({ rules: [] });
    const gateway = await place.serve(config, secret);
    const rule = `${new URL(url).host} to 127.0.0.0/8`;
    const code = `console.log(process.env.HTTP_PROXY); ${fetching(url)}`;
    const { stdout } = await place.run(['run', '--allow', rule, '--', node, '-e', code], secret);
    const [proxy = '', answer] = stdout.split('\n');
    expect(Number(new URL(proxy).port)).not.toBe(gateway.forward);
    expect(answer).toBe('200 got Bearer open-sesame');
  });

  test('gives a run what the caller named run has, or what was asked for', async () => {
    const { place, url, config } = await prepared({ more: { callers: { run: { token: callerToken, credentials: [] } } } });
    await place.serve(config, secret);
    const run = (...options: string[]) => place.run(['run', ...options, '--', node, '-e', fetching(url)]);
    expect((await run()).stdout).toBe('200 got undefined\n');
    expect((await run('--credentials', 'demo')).stdout).toBe('200 got Bearer open-sesame\n');
    expect((await run('--credentials', 'nope')).code).toBe(4);
  });

  test('goes away: the program hears of it when it asks, the user at once', async () => {
    const { place, config } = await prepared();
    const gateway = await place.serve(config, secret);
    const running = place.start([
      'run',
      '--report',
      '--',
      node,
      '-e',
      'console.log("ready"); process.on("SIGUSR2", () => process.exit(3)); setInterval(() => {}, 1e6)',
    ]);
    await running.line((line) => line === 'ready');
    gateway.child.kill('SIGKILL');
    await gateway.ended;
    running.child.kill('SIGUSR2');
    const { code, stderr } = await running.ended;
    expect(stderr).toContain('the gateway is gone');
    expect(code).toBe(3);
  });
});
