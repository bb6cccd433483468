import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { SallyportError } from '@sallyport/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Exchange } from '../exchange.js';
import { createEventLog, type EventLog } from './event-log.js';

/** Node cannot make a named pipe by itself. */
const MAKE_PIPE = 'mkfifo';

let directory: string;

beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'sallyport-log-'));
});

afterEach(() => {
  fs.rmSync(directory, { recursive: true });
});

function exchange(changes: Partial<Exchange> = {}): Exchange {
  return Object.assign(
    new Exchange('forward', '127.0.0.1'),
    { requestId: 'r', host: 'api.example.com', path: '/x', status: 200, durationMs: 1 },
    changes,
  );
}

interface Line {
  readonly level: number;
  readonly msg: string;
  readonly lost?: number;
  readonly request_id?: string;
}

/** The lines of a log; every one must be JSON and complete. */
function linesOf(text: string): Line[] {
  expect(text === '' || text.endsWith('\n')).toBe(true);
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);
}

function exchangesIn(lines: readonly Line[]): Line[] {
  return lines.filter(({ msg }) => msg === 'exchange');
}

function lostIn(lines: readonly Line[]): number {
  return lines.reduce((sum, { lost }) => sum + (lost ?? 0), 0);
}

/** A named pipe and its reading end, from which nothing is read until `readAll`. */
function pipe(name = 'pipe'): { path: string; readAll(): Promise<string>; leave(): void } {
  const path = join(directory, name);
  execFileSync(MAKE_PIPE, [path]);
  const reader = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  return {
    path,
    async readAll() {
      let text = '';
      for await (const chunk of new Socket({ fd: reader, readable: true, writable: false }).setEncoding('utf8')) text += String(chunk);
      return text;
    },
    leave: () => fs.closeSync(reader),
  };
}

/** Records until the log has nowhere to put the next exchange: its destination is stalled. The number of exchanges recorded. */
async function recordUntilFull(log: EventLog): Promise<number> {
  let recorded = 0;
  while (log.dropped === 0) {
    log.record(exchange());
    if (++recorded % 50 === 0) await turn();
  }
  return recorded;
}

type WriteBuffer = (
  fd: number,
  buffer: Buffer,
  offset: number,
  length: number,
  position: null,
  callback: (error: NodeJS.ErrnoException | null, written: number, buffer: Buffer) => void,
) => void;

/** Replaces the function that writes to files until the answer is called. */
function breakWrites(write: WriteBuffer): () => void {
  const original = fs.write;
  fs.write = write as typeof fs.write;
  syncBuiltinESMExports();
  return () => {
    fs.write = original;
    syncBuiltinESMExports();
  };
}

describe('A log to a file', () => {
  test('holds every exchange once, in order, and the sentences between them', async () => {
    const file = join(directory, 'log');
    const log = createEventLog({ destination: { file }, level: 'info', maxQueue: 5000 });
    log.logger.info({ port: 9080 }, 'The forward proxy is listening');
    for (let n = 0; n < 3000; n++) log.record(exchange({ requestId: `r${n}` }));
    await log.flush();
    expect(exchangesIn(linesOf(fs.readFileSync(file, 'utf8')))).toHaveLength(3000);
    log.record(exchange({ requestId: 'r3000' }));
    await log.close();
    const lines = linesOf(fs.readFileSync(file, 'utf8'));
    expect(exchangesIn(lines).map((line) => line.request_id)).toEqual(Array.from({ length: 3001 }, (_, n) => `r${n}`));
    expect(lines).toContainEqual(expect.objectContaining({ level: 30, msg: 'The forward proxy is listening', port: 9080 }));
    expect(log.dropped).toBe(0);
  });

  test('is appended to, and readable by its owner only', async () => {
    const file = join(directory, 'log');
    for (const requestId of ['first', 'second']) {
      const log = createEventLog({ destination: { file }, level: 'info', maxQueue: 10 });
      log.record(exchange({ requestId }));
      await log.close();
    }
    expect(linesOf(fs.readFileSync(file, 'utf8')).map((line) => line.request_id)).toEqual(['first', 'second']);
    expect(fs.statSync(file).mode & 0o777).toBe(0o600);
  });

  test('holds only what its level lets in', async () => {
    const file = join(directory, 'log');
    const log = createEventLog({ destination: { file }, level: 'warn', maxQueue: 10 });
    log.record(exchange({ requestId: 'fine' }));
    log.record(exchange({ requestId: 'refused', outcome: 'refused', status: 403 }));
    log.logger.info('fine');
    log.logger.warn('odd');
    await log.close();
    expect(linesOf(fs.readFileSync(file, 'utf8')).map(({ level }) => level)).toEqual([40, 40]);
  });

  test('holds nothing when it is silent', async () => {
    const file = join(directory, 'log');
    const log = createEventLog({ destination: { file }, level: 'silent', maxQueue: 10 });
    log.record(exchange({ outcome: 'failed', status: 502 }));
    log.logger.error('grave');
    await log.close();
    expect(fs.readFileSync(file, 'utf8')).toBe('');
    expect(log.dropped).toBe(0);
  });

  test('counts what comes after it was closed, and does not fail', async () => {
    const file = join(directory, 'log');
    const log = createEventLog({ destination: { file }, level: 'info', maxQueue: 10 });
    await log.close();
    log.record(exchange());
    log.logger.info('too late');
    await log.flush();
    await log.close();
    expect(log.dropped).toBe(2);
    expect(fs.readFileSync(file, 'utf8')).toBe('');
  });

  test('that cannot be opened says so at once', () => {
    const file = join(directory, 'missing', 'log');
    expect(() => createEventLog({ destination: { file }, level: 'info', maxQueue: 10 })).toThrowError(
      expect.objectContaining({ code: 'config_invalid', message: expect.stringContaining(file) as string }) as SallyportError,
    );
  });

  test('says how much was lost when more came at once than may wait', async () => {
    const file = join(directory, 'log');
    const log = createEventLog({ destination: { file }, level: 'info', maxQueue: 100 });
    for (let n = 0; n < 250; n++) log.record(exchange());
    expect(log.dropped).toBe(150);
    await log.close();
    const lines = linesOf(fs.readFileSync(file, 'utf8'));
    expect(exchangesIn(lines)).toHaveLength(100);
    expect(lines[0]).toMatchObject({ level: 40, lost: 150 });
  });

  test('bounds what waits by its size too', async () => {
    const file = join(directory, 'log');
    const log = createEventLog({ destination: { file }, level: 'info', maxQueue: 10_000 });
    for (let n = 0; n < 1000; n++) log.record(exchange({ path: `/${'x'.repeat(64 * 1024)}` }));
    await log.close();
    expect(log.dropped).toBeGreaterThan(700);
    expect(exchangesIn(linesOf(fs.readFileSync(file, 'utf8')))).toHaveLength(1000 - log.dropped);
  });

  test('is whole after the disk was full for a while and writes were cut short', async () => {
    const file = join(directory, 'log');
    const original: WriteBuffer = fs.write;
    let failures = 2;
    const restore = breakWrites((fd, buffer, offset, length, position, callback) => {
      if (failures-- > 0) process.nextTick(callback, Object.assign(new Error('full'), { code: 'ENOSPC' }), 0, buffer);
      else original(fd, buffer, offset, Math.min(length, 97), position, callback);
    });
    try {
      const log = createEventLog({ destination: { file }, level: 'info', maxQueue: 200 });
      for (let n = 0; n < 100; n++) log.record(exchange({ requestId: `ü${n}` }));
      await log.flush();
      expect(fs.readFileSync(file, 'utf8')).toBe('');
      while (fs.statSync(file).size === 0) await turn();
      await log.close();
      expect(linesOf(fs.readFileSync(file, 'utf8')).map((line) => line.request_id)).toEqual(Array.from({ length: 100 }, (_, n) => `ü${n}`));
      expect(log.dropped).toBe(0);
    } finally {
      restore();
    }
  });

  test.skipIf(!fs.existsSync('/dev/full'))('gives up at the end when the disk stays full, and counts what is lost', async () => {
    const log = createEventLog({ destination: { file: '/dev/full' }, level: 'info', maxQueue: 1000 });
    for (let n = 0; n < 700; n++) log.record(exchange());
    log.logger.warn('odd');
    await log.close();
    expect(log.dropped).toBe(701);
  });
});

describe('A log to a pipe', () => {
  test('whose reader stopped keeps little, and reports the loss as soon as it is read again', async () => {
    const { path, readAll } = pipe();
    const maxQueue = 500;
    const log = createEventLog({ destination: { file: path }, level: 'info', maxQueue });
    let recorded = await recordUntilFull(log);
    for (; recorded < 40_000; recorded++) {
      log.record(exchange());
      if (recorded % 500 === 0) await turn();
    }
    // What the pipe itself holds (64 KiB), one batch on its way and the queue.
    const accepted = recorded - log.dropped;
    expect(accepted).toBeLessThanOrEqual((64 * 1024) / 100 + 256 + maxQueue);
    const reading = readAll();
    await log.close();
    const lines = linesOf(await reading);
    expect(exchangesIn(lines)).toHaveLength(accepted);
    expect(lostIn(lines)).toBe(log.dropped);
    expect(log.dropped).toBe(recorded - accepted);
  });

  test('keeps a bounded number of sentences while it stalls', async () => {
    const { path, readAll } = pipe();
    const log = createEventLog({ destination: { file: path }, level: 'info', maxQueue: 10 });
    const sentence = 'x'.repeat(1000);
    for (let n = 0; n < 5000; n++) log.logger.info(sentence);
    expect(log.dropped).toBeGreaterThan(3000);
    const reading = readAll();
    await log.close();
    const lines = linesOf(await reading);
    expect(lines.filter(({ msg }) => msg === sentence)).toHaveLength(5000 - log.dropped);
    expect(lostIn(lines)).toBe(log.dropped);
  });

  test('that stalls holds no thread: files can be read though many logs stall, and each can be closed', async () => {
    const pipes = Array.from({ length: 8 }, (_, n) => pipe(`pipe${n}`));
    // Opened so that a write would wait, as standard output is.
    const descriptors = pipes.map(({ path }) => fs.openSync(path, 'a'));
    const logs = descriptors.map((fd) => createEventLog({ destination: { fd }, level: 'info', maxQueue: 100 }));
    const recorded = await Promise.all(logs.map(recordUntilFull));
    await expect(fs.promises.readFile('/proc/self/cmdline', 'utf8')).resolves.not.toBe('');
    for (const [n, log] of logs.entries()) {
      await log.close(AbortSignal.abort());
      fs.closeSync(descriptors[n]);
      const whole = (await pipes[n].readAll()).split('\n').length - 1;
      expect(whole + log.dropped).toBeGreaterThanOrEqual(recorded[n]);
    }
  });

  test('leaves the descriptor that it was given as it was', async () => {
    const { path, readAll } = pipe();
    const fd = fs.openSync(path, 'a');
    const flags = (): string => fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').split('\n')[1];
    const before = flags();
    const log = createEventLog({ destination: { fd }, level: 'info', maxQueue: 10 });
    log.record(exchange());
    await log.close();
    expect(flags()).toBe(before);
    fs.closeSync(fd);
    expect(exchangesIn(linesOf(await readAll()))).toHaveLength(1);
  });

  test('whose reader left drops everything from then on and harms nobody', async () => {
    const { path, leave } = pipe();
    const log = createEventLog({ destination: { file: path }, level: 'info', maxQueue: 10 });
    leave();
    log.record(exchange());
    await log.flush();
    expect(log.dropped).toBe(1);
    log.record(exchange());
    log.logger.error('nobody reads this');
    await log.close();
    expect(log.dropped).toBe(3);
  });

  test('that nobody has opened for reading is refused instead of waited for', () => {
    const path = join(directory, 'pipe');
    execFileSync(MAKE_PIPE, [path]);
    expect(() => createEventLog({ destination: { file: path }, level: 'info', maxQueue: 10 })).toThrowError(SallyportError);
  });
});
