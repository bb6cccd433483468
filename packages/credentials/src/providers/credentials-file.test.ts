import { chmod, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { type Credential, SallyportError, TransactionContext } from '@sallyport/sdk';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type CredentialsFileOptions, type CredentialsFileProvider, openCredentialsFile } from './credentials-file.js';
import { readEntries } from './credentials-file-entries.js';

const { signal } = new AbortController();
let dir = '';
let path = '';
let open: CredentialsFileProvider[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sallyport-credentials-'));
  path = join(dir, 'credentials.json');
});

afterEach(async () => {
  vi.useRealTimers();
  for (const provider of open) provider.close();
  open = [];
  await rm(dir, { recursive: true, force: true });
});

async function write(content: unknown): Promise<void> {
  const text = typeof content === 'string' ? content : JSON.stringify(content);
  await writeFile(`${path}.new`, text, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

async function start(options: Partial<CredentialsFileOptions> = {}): Promise<CredentialsFileProvider> {
  const provider = await openCredentialsFile({ path, ...options });
  open.push(provider);
  return provider;
}

async function ask(provider: CredentialsFileProvider, vendorId: string): Promise<Credential | null> {
  const context = new TransactionContext({ targetUrl: 'https://api.example', vendorId });
  return await provider.getCredentials(context, {} as never, { signal });
}

async function refusal(): Promise<SallyportError> {
  const error: unknown = await start().catch((reason: unknown) => reason);
  if (!(error instanceof SallyportError)) throw new Error('expected a refusal', { cause: error });
  expect(inspect(error) + JSON.stringify(error.members)).not.toContain('hush');
  return error;
}

describe('what a vendor gets', () => {
  test.each([
    [{ auth_type: 'bearer', token: 't0ken' }, 'Authorization', 'Bearer t0ken', 60],
    [{ auth_type: 'bearer', token: 't', header_name: '', username: '', password: '', ttl_minutes: 0 }, 'Authorization', 'Bearer t', 60],
    [{ auth_type: 'api_key', token: 'key', ttl_minutes: 5 }, 'X-API-Key', 'key', 5],
    [{ auth_type: 'api_key', token: 'key', header_name: 'X-Acme' }, 'X-Acme', 'key', 60],
    [{ auth_type: 'basic', token: 'dXNlcjpwYXNz' }, 'Authorization', 'Basic dXNlcjpwYXNz', 60],
    [{ auth_type: 'basic', username: 'user', password: 'p:äss' }, 'Authorization', `Basic ${Buffer.from('user:p:äss').toString('base64')}`, 60],
  ])('%j', async (entry, header, value, minutes) => {
    vi.useFakeTimers({ toFake: ['Date'], now: 1_000 });
    const onWarning = vi.fn();
    await write({ vendors: { acme: entry } });
    expect(await ask(await start({ onWarning }), 'acme')).toEqual({ headers: { [header]: value }, expiresAt: 1_000 + minutes * 60_000 });
    expect(onWarning).not.toHaveBeenCalled();
  });

  test.each(['', 'ACME', 'other', '__proto__'])('the vendor %j is not found', async (vendor) => {
    await write({ vendors: { acme: { auth_type: 'bearer', token: 't' } } });
    await expect(ask(await start(), vendor)).rejects.toMatchObject({ code: 'vendor_not_found', status: 500 });
  });
});

describe('a file that cannot be used is refused at the start', () => {
  test('with everything that is wrong, its place and the nearest spelling', async () => {
    await write({
      vendor: {},
      vendors: {
        a: { auth_tpye: 'bearer', token: 'hush' },
        b: { auth_type: 'baerer', token: 'hush' },
        'c d': { auth_type: 'api_key', header_name: 'a b', token: 'hush' },
        e: { auth_type: 'bearer', token: 'hush\n', ttl_minutes: 1.5 },
        f: { auth_type: 'basic', token: 'hush', username: 'hush' },
        g: { auth_type: 'bearer', username: 'hush' },
        h: { auth_type: 'basic', username: 'hush:', password: 'hush' },
        i: { auth_type: 'bearer', token: 7 },
        j: { auth_type: 'basic' },
        k: 'hush',
        '': { auth_type: 'bearer', token: 'hush' },
        l: { auth_type: 'hmac', token: 'hush' },
      },
    });
    const error = await refusal();
    expect([error.code, error.message.split('\n')[0]]).toEqual(['config_invalid', `${path} cannot be used:`]);
    expect(error.members.problems).toEqual([
      '$.vendor: unknown key, did you mean "vendors"?',
      '$.vendors.a.auth_tpye: unknown key, did you mean "auth_type"?',
      '$.vendors.a.auth_type: is missing; one of bearer, api_key, basic',
      '$.vendors.b.auth_type: "baerer" is not one of bearer, api_key, basic, did you mean "bearer"?',
      '$.vendors["c d"].header_name: is not the name of a header field',
      '$.vendors.e.ttl_minutes: is not a whole number from 1 to 527040',
      '$.vendors.e.token: begins or ends with white space',
      '$.vendors.f.token: is there besides username and password; leave one of the two out',
      '$.vendors.g.username: belongs to the type basic, not to bearer',
      '$.vendors.h.username: holds a colon',
      '$.vendors.i.token: is not a text',
      '$.vendors.j.token: is missing; a token, or username and password',
      '$.vendors.k: is not an object',
      '$.vendors[""]: a vendor has no name',
      '$.vendors.l.auth_type: "hmac" is not one of bearer, api_key, basic',
    ]);
  });

  test.each([
    ['{"vendors": {"a": hush}}', '1:19: a value is expected here'],
    ['{"vendors": {"a": {}, "a": {}}}', '1:23: "a" is there twice'],
    ['[]', '$.vendors: is missing'],
    ['{"vendors": []}', '$.vendors: is not an object'],
  ])('%s', async (text, problem) => {
    await write(text);
    expect(await refusal()).toMatchObject({ code: 'config_invalid', message: expect.stringContaining(problem) });
  });

  test('and one that is not there', async () => {
    expect(await refusal()).toMatchObject({ code: 'config_not_found', message: expect.stringContaining(path) });
  });

  test('of hundreds of problems twenty are listed', async () => {
    await write({ vendors: Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`v${i}`, null])) });
    const error = await refusal();
    expect([error.members.problems, error.message]).toEqual([expect.objectContaining({ length: 20 }), expect.stringMatching(/and 280 more$/)]);
  });

  test('whatever is in it, what was read can be sent or is a problem with its place', () => {
    const text = fc.oneof(fc.string(), fc.constantFrom('bearer', 'api_key', 'basic', ''));
    const value = fc.oneof(text, fc.integer(), fc.constant(null), fc.boolean());
    const entry = fc.dictionary(
      fc.oneof(fc.constantFrom('auth_type', 'token', 'header_name', 'username', 'password', 'ttl_minutes'), fc.string()),
      value,
    );
    fc.assert(
      fc.property(fc.dictionary(fc.string(), entry), (vendors) => {
        const file = readEntries(JSON.stringify({ vendors }));
        expect(file.problems.length > 0 || file.vendors.size === Object.keys(vendors).length).toBe(true);
        for (const problem of file.problems) expect(problem).toMatch(/^\$\.vendors/);
        for (const one of file.vendors.values()) new Headers().set(one.header, one.value.reveal());
      }),
    );
  });
});

describe('a file that may not be meant so is warned about', () => {
  test.each([
    [{ auth_type: 'bearer', token: 'x', header_name: 'X-Y' }, '$.vendors.a.header_name: has no effect'],
    [{ auth_type: 'bearer', token: 'Bearer hush' }, '$.vendors.a.token: begins with "Bearer "'],
    [{ auth_type: 'basic', token: 'user:hush' }, '$.vendors.a.token: is not the Base64 of'],
  ])('%j', async (entry, warning) => {
    const onWarning = vi.fn();
    await write({ vendors: { a: entry } });
    await start({ onWarning });
    expect(onWarning.mock.calls).toEqual([[expect.stringContaining(warning)]]);
    expect(JSON.stringify(onWarning.mock.calls)).not.toContain('hush');
  });

  test('when others can read it', async () => {
    const onWarning = vi.fn();
    await write({ vendors: {} });
    await chmod(path, 0o640);
    await start({ onWarning });
    expect(onWarning.mock.calls).toEqual([[`${path} can be used by others (mode 0640): run chmod 600 on it`]]);
  });
});

describe('a file that changes', () => {
  test('is warned about once for each reason', async () => {
    const onWarning = vi.fn();
    const onChange = vi.fn();
    const bearer = { auth_type: 'bearer', token: 'x', header_name: 'X-Y' };
    await write({ vendors: { a: bearer } });
    await start({ onWarning, onChange });
    await write({ vendors: { a: bearer, b: bearer } });
    await vi.waitFor(() => expect(onChange).toHaveBeenCalled(), { timeout: 15_000 });
    expect(onWarning.mock.calls.map(([text]) => String(text).split(':')[0])).toEqual(['$.vendors.a.header_name', '$.vendors.b.header_name']);
  });

  test('is read again; a version that cannot be used leaves the one before in force', async () => {
    await write({ vendors: { a: { auth_type: 'bearer', token: 'one' } } });
    const onChange = vi.fn();
    const onReject = vi.fn();
    const provider = await start({ onChange, onReject });

    await write({ vendors: { a: { auth_type: 'bearer', token: 'two' } } });
    await vi.waitFor(() => expect(onChange).toHaveBeenCalledTimes(1), { timeout: 15_000 });
    expect((await ask(provider, 'a'))?.headers).toEqual({ Authorization: 'Bearer two' });

    await write({ vendors: { a: { auth_type: 'bearer' } } });
    await vi.waitFor(() => expect(onReject).toHaveBeenCalled(), { timeout: 15_000 });
    expect(onReject.mock.calls[0]).toEqual([expect.objectContaining({ code: 'config_invalid' })]);
    expect((await ask(provider, 'a'))?.headers).toEqual({ Authorization: 'Bearer two' });

    await rm(path);
    await vi.waitFor(() => expect(onReject).toHaveBeenLastCalledWith(expect.objectContaining({ code: 'config_not_found' })), { timeout: 15_000 });
    expect((await ask(provider, 'a'))?.headers).toEqual({ Authorization: 'Bearer two' });

    await write({ vendors: { a: { auth_type: 'bearer', token: 'three' } } });
    await vi.waitFor(() => expect(onChange).toHaveBeenCalledTimes(2), { timeout: 15_000 });
    expect((await ask(provider, 'a'))?.headers).toEqual({ Authorization: 'Bearer three' });
  });
});
