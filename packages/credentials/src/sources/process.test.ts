import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { processSource } from './process.js';

const { signal } = new AbortController();

function shell(script: string, options: { timeoutMs?: number; ttlMs?: number | null; env?: Record<string, string> } = {}) {
  return processSource({ command: ['/bin/sh', '-c', script], ...options });
}

describe('output', () => {
  test('plain text is the secret, without one line break', async () => {
    const source = shell('echo token');
    const material = await source.fetch(signal);
    expect([material.secret.reveal(), material.fields.size]).toEqual(['token', 0]);
    expect([source.type, source.description]).toEqual(['process', 'process /bin/sh']);
  });

  test('arguments pass without a shell', async () => {
    const material = await processSource({ command: ['printf', '%s|', '$HOME', 'a b', '; exit 1', '*'] }).fetch(signal);
    expect(material.secret.reveal()).toBe('$HOME|a b|; exit 1|*|');
  });

  test('the environment is inherited, and `env` goes over it', async () => {
    vi.stubEnv('SALLYPORT_TEST_A', 'inherited');
    vi.stubEnv('SALLYPORT_TEST_B', 'inherited');
    const material = await shell('echo $SALLYPORT_TEST_A $SALLYPORT_TEST_B', { env: { SALLYPORT_TEST_B: 'set' } }).fetch(signal);
    vi.unstubAllEnvs();
    expect(material.secret.reveal()).toBe('inherited set');
  });

  test('standard input is empty', async () => {
    expect((await shell('cat; echo end').fetch(signal)).secret.reveal()).toBe('end');
  });

  test.each([
    [60_000, 60_000],
    [null, 300_000],
    [undefined, 300_000],
  ])('a lifetime of %s is %i ms', async (ttlMs, lifetime) => {
    const before = Date.now();
    const { expiresAt } = await shell('echo token', ttlMs === undefined ? {} : { ttlMs }).fetch(signal);
    expect(expiresAt).toBeGreaterThanOrEqual(before + lifetime);
    expect(expiresAt).toBeLessThanOrEqual(Date.now() + lifetime);
  });

  test('credential_process JSON keeps its own expiry, or gets the lifetime', async () => {
    const keys = '"Version":1,"AccessKeyId":"AKIA","SecretAccessKey":"wJalr"';
    const dated = await shell(`echo '{${keys},"Expiration":"2130-01-01T00:00:00Z"}'`).fetch(signal);
    expect([dated.secret.reveal(), dated.fields.get('AccessKeyId')?.reveal(), dated.expiresAt]).toEqual(['wJalr', 'AKIA', Date.UTC(2130, 0)]);
    const undated = await shell(`echo '{${keys}}'`, { ttlMs: 60_000 }).fetch(signal);
    expect(undated.expiresAt).toBeLessThanOrEqual(Date.now() + 60_000);
  });

  test('credentials that have expired are an error', async () => {
    const json = '{"Version":1,"AccessKeyId":"AKIA","SecretAccessKey":"wJalr","Expiration":"2001-02-03T04:05:06Z"}';
    await expect(shell(`echo '${json}'`).fetch(signal)).rejects.toThrow('The credentials that /bin/sh printed expired at 2001-02-03T04:05:06.000Z.');
  });
});

describe('failures', () => {
  test.each<[string, string, RegExp]>([
    ['a silent program', 'true', /printed nothing/],
    ['blank output', 'echo', /printed nothing/],
    ['output that is not text', "printf 'a\\377b'", /not UTF-8/],
    ['endless output', 'exec yes', /more than 1 MiB/],
    ['an exit code', 'exit 3', /^The program \/bin\/sh ended with exit code 3\.$/],
    ['an exit code after output', 'echo token; exit 1', /ended with exit code 1\.$/],
    ['a signal', 'kill -KILL $$', /was ended by SIGKILL\.$/],
    ['a complaint', "printf '\\033[31mno\\033[0m \\007session\\r\\nlog\\tin' >&2; exit 255", /ended with exit code 255: no session log in\.$/],
  ])('%s', async (_name, script, message) => {
    await expect(shell(script).fetch(signal)).rejects.toMatchObject({ code: 'credential_unavailable', message: expect.stringMatching(message) });
  });

  test('of a long complaint the last 256 bytes are shown, and no broken character', async () => {
    const error: unknown = await shell("printf 'ü%.0s' $(seq 20000) >&2; printf . >&2; exit 1")
      .fetch(signal)
      .catch((reason: unknown) => reason);
    const shown = /: (ü+\.)$/.exec((error as Error).message)?.[1] ?? '';
    expect(Buffer.byteLength(shown)).toBeLessThanOrEqual(256);
    expect(Buffer.byteLength(shown)).toBeGreaterThan(250);
  });

  test('a complaint that repeats the output or a given variable is masked', async () => {
    const source = shell('echo "ghp_verysecret:x,1"; echo "bad token ghp_verysecret:x,1 (ghp_verys) for $KEY" >&2; exit 1', {
      env: { KEY: 'key-of-the-vault' },
    });
    await expect(source.fetch(signal)).rejects.toThrow(/exit code 1: bad token \[secret\] \(\[secret\]\) for \[secret\]\.$/);
  });

  test.each<[string, readonly string[], RegExp]>([
    ['no such program', ['sallyport-no-such-program', 'argument-marker'], /sallyport-no-such-program was not found/],
    ['a file that is no program', ['/etc/passwd', 'argument-marker'], /\/etc\/passwd may not be run/],
    ['an argument with a NUL', ['echo', 'argument-marker\0'], /could not be started \(ERR_INVALID_ARG_VALUE\)/],
    ['no command', [], /has no command/],
  ])('%s', async (_name, command, message) => {
    const error: unknown = await processSource({ command })
      .fetch(signal)
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'credential_unavailable', message: expect.stringMatching(message) });
    expect(error).not.toHaveProperty('cause');
    expect(String((error as Error).stack)).not.toContain('argument-marker');
  });

  test('a program that takes too long', async () => {
    await expect(shell('sleep 1000', { timeoutMs: 100 }).fetch(signal)).rejects.toThrow(/\/bin\/sh did not finish within 0.1 s/);
  });

  test('a program that ends but leaves its output open to a child', async () => {
    await expect(shell('sleep 1000 & echo token', { timeoutMs: 200 }).fetch(signal)).rejects.toThrow(/holds its output open/);
  });
});

describe('stopping', () => {
  let server: Server;
  let port = 0;

  beforeEach(async () => {
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });

  afterEach(async () => {
    server.close();
    await once(server, 'close');
  });

  /** A program that lives until it is killed; the other end of its connection sees it die. */
  function living(prelude = ''): string {
    return `"${process.execPath}" -e '${prelude}require("net").connect(${port}, "127.0.0.1").resume()'`;
  }

  /** Waits until the program lives; the promise inside settles when it has died. */
  async function alive(): Promise<{ died: Promise<unknown> }> {
    const [socket] = (await once(server, 'connection')) as [Socket];
    return { died: once(socket.on('error', () => {}).resume(), 'close') };
  }

  test('an abort rejects with its reason and ends the program', async () => {
    const abort = new AbortController();
    const reason = new Error('gone');
    const fetching = shell(`exec ${living()}`).fetch(abort.signal);
    const { died } = await alive();
    abort.abort(reason);
    await expect(fetching).rejects.toBe(reason);
    await died;
  });

  test('what the program started ends too, even when it ignores SIGTERM', async () => {
    const abort = new AbortController();
    const fetching = shell(`${living('process.on("SIGTERM", () => {});')} & wait`).fetch(abort.signal);
    const { died } = await alive();
    abort.abort();
    await expect(fetching).rejects.toBe(abort.signal.reason);
    await died;
  });

  test('an abort before the start starts nothing', async () => {
    const reason = new Error('gone');
    await expect(processSource({ command: ['sallyport-no-such-program'] }).fetch(AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});
