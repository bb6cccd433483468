import { EventEmitter } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { callerToken, cleanUp, configFor, through, upstream, workplace } from '../command-line.test.support.js';
import { fleetStatus } from '../commands/fleet.js';
import { addFleet } from '../commands/fleet-options.js';
import { DocumentedCommand } from '../documented-command.js';
import { printFailure } from '../failure.js';
import { capture, type Printed } from '../onboard/captured-output.test.support.js';
import type { Terminal } from './live-screen.js';
import { type Answer, chaperoneAnswers, startOperationsServer } from './operations-server.test.support.js';
import type { FleetReport } from './report.js';

let home: string;
let printed: Printed;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'sallyport-fleet-'));
  vi.stubEnv('HOME', home);
  printed = capture();
});
afterEach(async () => {
  printed.restore();
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
  await cleanUp();
});

/** Runs `sallyport fleet …` as the command line would; answers the exit code. */
async function fleet(...args: readonly string[]): Promise<number> {
  let code = -1;
  const program = new DocumentedCommand('sallyport').exitOverride();
  addFleet(program, (result) => {
    code = result;
  });
  try {
    await program.parseAsync(['fleet', ...args], { from: 'user' });
    return code;
  } catch (error) {
    return error instanceof Error && 'exitCode' in error ? 1 : printFailure(error);
  }
}

/** A gateway that runs, behind which something answers `status`; the ports of its two listeners. */
async function gateway(status = 200): Promise<{ forward: number; ops: number; target: string }> {
  const port = await upstream((_, response) => response.writeHead(status).end('hello'));
  const place = workplace();
  const config = place.file('sallyport.yaml', configFor(port, { more: { listeners: { forward: { port: 0 }, ops: { port: 0 } } } }));
  const running = await place.serve(config, { DEMO_TOKEN: 'open-sesame' });
  const line = await running.line((text) => text.includes('"Sallyport is running"'));
  return { forward: running.forward, ops: (JSON.parse(line) as { ops: number }).ops, target: `http://127.0.0.1:${port}/` };
}

const ofChaperone = (): Record<string, Answer> => ({ ...chaperoneAnswers });

describe('the register', () => {
  test('add, list, remove', async () => {
    expect(await fleet('list')).toBe(0);
    expect(printed.stderr()).toContain('sallyport fleet add NAME HOST:PORT');
    expect(await fleet('add', 'eu-1', '10.0.0.1:9090')).toBe(0);
    expect(await fleet('add', 'eu-2', 'https://10.0.0.2:9090', '--ca', '/etc/ca.pem', '--token-env', 'FLEET_TOKEN')).toBe(0);
    expect(await fleet('list')).toBe(0);
    expect(printed.stdout()).toMatch(/eu-1 +http:\/\/10\.0\.0\.1:9090 +– +–\n/);
    expect(printed.stdout()).toMatch(/eu-2 +https:\/\/10\.0\.0\.2:9090 +\/etc\/ca\.pem +env FLEET_TOKEN\n/);
    expect(await fleet('remove', 'eu-2')).toBe(0);
    const before = printed.stdout().length;
    expect(await fleet('list', '-o', 'json')).toBe(0);
    expect(JSON.parse(printed.stdout().slice(before))).toEqual([{ name: 'eu-1', url: 'http://10.0.0.1:9090', ca: null, token: null }]);
  });

  test.each([
    [['add', 'eu 1', '10.0.0.1:9090'], 'fleet_invalid'],
    [['add', 'eu-1', '10.0.0.1'], 'fleet_invalid'],
    [['add', 'eu-1', '10.0.0.1:9090', '--token-env', 'A'], 'unencrypted'],
    [['add', 'eu-1', '10.0.0.1:9090', '--ca', 'x'], '--ca goes with https'],
    [['add', 'eu-1', 'https://10.0.0.1:9090', '--token-env', 'A', '--token-file', 'b'], 'Name one place'],
    [['remove', 'eu-1'], 'fleet_instance_unknown'],
    [['status', '--interval', '5'], 'A duration'],
    [['status', '-o', 'xml'], 'Allowed choices'],
    [['tset', 'x:1'], 'Did you mean test?'],
  ])('%j', async (args, said) => {
    expect(await fleet(...args)).toBe(1);
    expect(printed.stderr()).toContain(said);
    expect(printed.stdout()).toBe('');
  });

  test('a register that cannot be read', async () => {
    mkdirSync(join(home, '.sallyport'));
    writeFileSync(join(home, '.sallyport', 'fleet.yaml'), 'instances: 7', { mode: 0o600 });
    expect(await fleet('status')).toBe(1);
    expect(printed.stderr()).toContain('code: fleet_register_failed');
  });
});

describe('status', () => {
  test('of two gateways that run, with traffic', async () => {
    const [one, other] = await Promise.all([gateway(), gateway(500)]);
    await fleet('add', 'one', `127.0.0.1:${one.ops}`);
    await fleet('add', 'other', `127.0.0.1:${other.ops}`);
    let over = false;
    const traffic = (async () => {
      while (!over) for (const { forward, target } of [one, other]) await through(forward, target, callerToken);
    })();
    const code = await fleet('status', '-o', 'json', '--interval', '300ms');
    over = true;
    await traffic;
    const report = JSON.parse(printed.stdout()) as FleetReport;
    expect(code).toBe(0);
    expect(report).toMatchObject({ healthy: 2, reporting: 2 });
    expect(report.total_rps).toBeGreaterThan(0);
    for (const instance of report.instances) {
      expect(instance).toMatchObject({ status: 'healthy', ready: true, version: expect.any(String), error: null, panics_total: 0 });
      expect(instance.rps).toBeGreaterThan(0);
      expect(instance.p50_ms).toBeGreaterThan(0);
      expect(instance.p99_ms).toBeGreaterThanOrEqual(instance.p50_ms ?? 0);
    }
    expect(report.instances.map(({ error_rate }) => error_rate)).toEqual([0, 1]);
  });

  test('of a Chaperone, and of one that is gone: three failed looks make it unreachable', async () => {
    const { port } = await startOperationsServer(ofChaperone());
    await fleet('add', 'chaperone', `127.0.0.1:${port}`);
    await fleet('add', 'gone', '127.0.0.1:1');
    expect(await fleet('status', '--interval', '100ms')).toBe(1);
    expect(printed.stdout()).toMatch(/chaperone +127\.0\.0\.1:\d+ +healthy +1\.4\.2 .* 30 days/);
    expect(printed.stdout()).toMatch(/gone +127\.0\.0\.1:1 +unreachable/);
    expect(printed.stdout()).toContain('gone: connection refused');
    expect(printed.stdout()).toContain('1 of 2 healthy');
    const before = printed.stdout().length;
    await fleet('status', '--interval', '100ms', '-o', 'yaml');
    expect(parse(printed.stdout().slice(before))).toMatchObject({
      healthy: 1,
      instances: [{ name: 'chaperone', ready: null }, { status: 'unreachable' }],
    });
  });

  test('of one that is not ready', async () => {
    const { port } = await startOperationsServer({ ...ofChaperone(), '/_ops/ready': [503, '{"detail":"It drains."}'] });
    await fleet('add', 'a', `127.0.0.1:${port}`);
    expect(await fleet('status', '--interval', '100ms')).toBe(1);
    expect(printed.stdout()).toMatch(/^0 of 1 healthy[\s\S]*not ready[\s\S]*a: It drains\./);
  });

  test('of none', async () => {
    expect(await fleet('status')).toBe(0);
    expect(printed.stderr()).toContain('No instance is registered.');
    expect(await fleet('status', '-o', 'json', '--interval', '100ms')).toBe(0);
    expect(JSON.parse(printed.stdout())).toMatchObject({ instances: [], healthy: 0, total_rps: 0 });
  });
});

/** Resolves once the documents printed so far are as many as that. */
async function documents(count: number, marker: RegExp): Promise<void> {
  await vi.waitFor(() => expect(printed.stdout().match(marker)?.length ?? 0).toBeGreaterThanOrEqual(count), { timeout: 20_000 });
}

describe('status --watch', () => {
  const watching = (output: 'json' | 'yaml' | 'table', terminal?: Terminal): Promise<number> =>
    fleetStatus({ watch: true, output, interval: '100ms', timeout: '3s' }, terminal);

  test('prints one JSON document per line, and notices what goes and comes back', async () => {
    const answers = ofChaperone();
    const { port } = await startOperationsServer(answers);
    await fleet('add', 'a', `127.0.0.1:${port}`);
    const running = watching('json');
    await documents(1, /\n/g);
    answers['/_ops/health'] = [500, ''];
    await documents(1, /"unreachable"/g);
    answers['/_ops/health'] = [200, '{"status":"alive"}'];
    const gone = printed.stdout().length;
    await vi.waitFor(() => expect(printed.stdout().slice(gone)).toContain('"healthy","ready"'), { timeout: 20_000 });
    process.emit('SIGTERM');
    expect(await running).toBe(0);
    const reports = printed
      .stdout()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as FleetReport);
    const states = reports.map(({ instances: [one] }) => `${one?.status} ${one?.error === null}`);
    // Healthy for two failed looks, unreachable with the third, healthy again with the first that works.
    expect(states.filter((state, index) => state !== states[index - 1])).toEqual([
      'healthy true',
      'healthy false',
      'unreachable false',
      'healthy true',
    ]);
    expect(states.filter((state) => state === 'healthy false')).toHaveLength(2);
  });

  test('prints YAML documents', async () => {
    await fleet('add', 'gone', '127.0.0.1:1');
    const running = watching('yaml');
    await documents(2, /^---$/gm);
    process.emit('SIGINT');
    expect(await running).toBe(1);
    expect(parseAllDocuments(printed.stdout()).length).toBeGreaterThanOrEqual(2);
  });

  test('is a table that changes in place on a terminal, until q', async () => {
    const { port } = await startOperationsServer(ofChaperone());
    await fleet('add', 'a', `127.0.0.1:${port}`);
    let written = '';
    const input = Object.assign(new EventEmitter(), { isTTY: true, setRawMode() {}, resume() {}, pause() {} });
    const write = (text: string): boolean => {
      written += text;
      return true;
    };
    const output = Object.assign(new EventEmitter(), { isTTY: true, columns: 200, rows: 20, write });
    const running = watching('table', { input, output } as unknown as Terminal);
    await vi.waitFor(() => expect(written.match(/1 of 1 healthy/g)?.length).toBeGreaterThanOrEqual(2), { timeout: 20_000 });
    input.emit('data', Buffer.from('q'));
    expect(await running).toBe(0);
    expect(written.startsWith('\u001b[?1049h')).toBe(true);
    expect(written.endsWith('\u001b[?1049l')).toBe(true);
    expect(printed.stdout()).toBe('');
  });
});

describe('test', () => {
  test('of a gateway', async () => {
    const { ops } = await gateway();
    expect(await fleet('test', `127.0.0.1:${ops}`)).toBe(0);
    expect(printed.stdout()).toMatch(/is alive: version \S+, ready\.\n/);
    const before = printed.stdout().length;
    expect(await fleet('test', `localhost:${ops}`, '-o', 'json')).toBe(0);
    expect(JSON.parse(printed.stdout().slice(before))).toEqual({
      ok: true,
      health: 'alive',
      ready: true,
      version: expect.any(String),
      metrics: true,
      error: null,
    });
  });

  test('of nothing', async () => {
    expect(await fleet('test', '127.0.0.1:1')).toBe(1);
    expect(printed.stdout()).toMatch(/127\.0\.0\.1:1 does not work: connection refused.*localhost/);
    const before = printed.stdout().length;
    expect(await fleet('test', '127.0.0.1:1', '-o', 'json')).toBe(1);
    expect(JSON.parse(printed.stdout().slice(before))).toMatchObject({ ok: false, health: null, error: expect.stringContaining('refused') });
  });
});
