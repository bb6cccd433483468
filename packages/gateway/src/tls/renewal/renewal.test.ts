import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { inspect } from 'node:util';
import type { SallyportError } from '@sallyport/sdk';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { removeTemporaryDirectories, temporaryDirectory } from '../../testing/temporary-directory.test.support.js';
import { nameText, readNames } from './alternative-names.js';
import { makeRequest, readRequest } from './certificate-request.js';
import { CLIENT_AUTH, DAY, generateKeys, type Issuer, rootIssuer, type Wanted } from './issuing.test.support.js';
import { readPair } from './pair-files.js';
import type { KeyPair } from './rehearsal.js';
import { createRenewal, type PreparedRenewal, type Renewal, type RenewalEvent, type RenewalTarget } from './renewal.js';

const NAMES = ['proxy.example.com', '10.1.2.3'];
const MINUTE = 60_000;

let root: Issuer;
let other: Issuer;
let served: KeyPair;
let target: RenewalTarget | null;
let installed: KeyPair[];
let events: RenewalEvent[];
let clock: number;
let renewal: Renewal;

beforeAll(async () => {
  root = await rootIssuer();
  other = await rootIssuer('Another root');
  served = await pairFor(NAMES, 'chaperone');
});
beforeEach(async () => {
  const directory = await temporaryDirectory();
  const files = { cert: join(directory, 'server.crt'), key: join(directory, 'server.key') };
  await writeFile(files.cert, served.cert);
  await writeFile(files.key, served.key);
  target = { files, certificate: served.cert, trust: root.pem };
  installed = [];
  events = [];
  clock = Date.now();
  renewal = createRenewal({
    target: () => target,
    install: (pair) => void installed.push(pair),
    onEvent: (event) => void events.push(event),
    now: () => clock,
  });
});
afterAll(removeTemporaryDirectories);

async function pairFor(names: readonly string[], commonName = 'x'): Promise<KeyPair> {
  const { key, csr } = await makeRequest({ commonName, names: readNames(names) });
  return { cert: await root.sign(csr), key: key.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

const onDisk = (): Promise<KeyPair> => readPair((target as RenewalTarget).files);
const bring = ({ renewal_id }: PreparedRenewal, certificate: string): Promise<void> => renewal.install({ renewal_id, certificate });
const refusal = (work: Promise<unknown>): Promise<SallyportError> =>
  work.then(
    () => Promise.reject(new Error('it was not refused')),
    (error: unknown) => error as SallyportError,
  );

async function nothingChanged(): Promise<void> {
  expect(installed).toEqual([]);
  expect(await onDisk()).toEqual(served);
}

describe('prepare', () => {
  test('answers a request for the same subject with a new key', async () => {
    const prepared = await renewal.prepare();
    expect(Object.keys(prepared)).toEqual(['csr', 'renewal_id']);
    expect(prepared.renewal_id).toMatch(/^[0-9a-f]{64}$/);
    const request = await readRequest(prepared.csr);
    expect(request.names.map(nameText)).toEqual(['dns:proxy.example.com', 'ip:10.1.2.3']);
    expect(new X509Certificate(await root.sign(prepared.csr)).subject).toBe('CN=chaperone');
    expect(request.publicKey.equals(new X509Certificate(served.cert).publicKey)).toBe(false);
    expect(inspect(renewal, { depth: 9 }) + JSON.stringify(events)).not.toMatch(/PRIVATE|[0-9a-f]{64}/);
    expect(events).toEqual([{ kind: 'prepared', expiresAt: clock + 10 * MINUTE }]);
  });

  test('refuses while another is pending, and says for how long', async () => {
    await renewal.prepare();
    clock += 4 * MINUTE;
    expect(await refusal(renewal.prepare())).toMatchObject({ code: 'renewal_pending', status: 409, members: { retry_after: 360 } });
    clock += 6 * MINUTE - 1;
    expect((await refusal(renewal.prepare())).code).toBe('renewal_pending');
    clock += 1;
    await renewal.prepare();
  });

  test('of two at once one gets a request', async () => {
    const [first, second] = await Promise.allSettled([renewal.prepare(), renewal.prepare()]);
    expect(first.status).toBe('fulfilled');
    expect(second).toMatchObject({ status: 'rejected', reason: { code: 'renewal_pending' } });
  });

  test.each([
    ['has no names', async () => root.sign((await makeRequest({ commonName: 'x', names: [] })).csr), 'no subject alternative names'],
    ['cannot be read', async () => Promise.resolve('nonsense'), 'cannot be read'],
  ])('fails when the certificate that is served %s', async (_, certificate, said) => {
    target = { ...(target as RenewalTarget), certificate: await certificate() };
    expect(await refusal(renewal.prepare())).toMatchObject({
      code: 'renewal_prepare_failed',
      status: 500,
      message: expect.stringContaining(said),
      members: { error: 'prepare failed' },
    });
    // It stands in nobody's way afterwards.
    expect((await refusal(renewal.prepare())).code).toBe('renewal_prepare_failed');
  });

  test('uses a common name of its own where the certificate has none', async () => {
    const { csr } = await makeRequest({ commonName: 'x', names: readNames(NAMES) });
    target = { ...(target as RenewalTarget), certificate: `text\n${await root.sign(csr, { commonName: null })}${root.pem}` };
    expect(new X509Certificate(await root.sign((await renewal.prepare()).csr)).subject).toBe('CN=sallyport');
  });
});

describe('install', () => {
  test('stores the certificate, then takes it into use, and then a new renewal may begin', async () => {
    const prepared = await renewal.prepare();
    const certificate = await root.sign(prepared.csr);
    let stored: KeyPair | null = null;
    const watching = createRenewal({
      target: () => target,
      install: async () => {
        stored = await onDisk();
      },
      onEvent: (event) => void events.push(event),
    });
    const second = await watching.prepare();
    await watching.install({ renewal_id: second.renewal_id, certificate: await root.sign(second.csr) });
    expect(stored).toEqual(await onDisk());
    expect(events.at(-1)).toMatchObject({ kind: 'installed' });

    await bring(prepared, certificate);
    expect(installed).toEqual([await onDisk()]);
    expect(installed[0].cert).toBe(certificate);
    expect(new X509Certificate(installed[0].cert).checkPrivateKey(createPrivateKey(installed[0].key))).toBe(true);
    expect(events.at(-1)).toEqual({ kind: 'installed', notAfter: Date.parse(new X509Certificate(certificate).validTo) });
    await renewal.prepare();
  });

  test('the swap is for new connections: those that are open stay, and clients that know the root alone verify both', async () => {
    const server = createServer({ ...served, minVersion: 'TLSv1.3' }, (socket) => socket.pipe(socket));
    onTestFinished(() => void server.close());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const open = async (): Promise<TLSSocket> => {
      const socket = connect({ port: (server.address() as AddressInfo).port, ca: root.pem, servername: 'proxy.example.com' });
      onTestFinished(() => void socket.destroy());
      await once(socket, 'secureConnect');
      return socket;
    };
    const echoed = async (socket: TLSSocket, text: string): Promise<string> => {
      socket.write(text);
      return String(((await once(socket, 'data')) as [Buffer])[0]);
    };
    const swapping = createRenewal({
      target: () => target,
      install: (pair) => server.setSecureContext({ ...pair, minVersion: 'TLSv1.3' }),
      onEvent: () => {},
    });
    const early = await open();
    const intermediate = await root.intermediate('Test intermediate');
    const prepared = await swapping.prepare();
    const certificate = await intermediate.sign(prepared.csr);
    await swapping.install({ renewal_id: prepared.renewal_id, certificate: certificate + intermediate.pem });
    const late = await open();
    expect(await echoed(early, 'still here')).toBe('still here');
    expect(await echoed(late, 'hello')).toBe('hello');
    expect(early.getPeerX509Certificate()?.fingerprint256).toBe(new X509Certificate(served.cert).fingerprint256);
    expect(late.getPeerX509Certificate()?.fingerprint256).toBe(new X509Certificate(certificate).fingerprint256);
  });

  const sound = async ({ csr }: PreparedRenewal): Promise<string> => root.sign(csr);
  const like =
    (wanted: () => Wanted | Promise<Wanted>) =>
    async ({ csr }: PreparedRenewal) =>
      root.sign(csr, await wanted());
  test.each<[string, (prepared: PreparedRenewal) => Promise<string>, string, string]>([
    ['for a foreign key', like(async () => ({ publicKey: (await generateKeys()).publicKey })), 'certificate_key_mismatch', 'another key'],
    ['that is the one in use', () => Promise.resolve(served.cert), 'certificate_key_mismatch', 'another key'],
    ['that has expired', like(() => ({ notBefore: clock - 9 * DAY, notAfter: clock - DAY })), 'certificate_expired', 'expired on'],
    ['that is not valid yet', like(() => ({ notBefore: clock + DAY })), 'certificate_expired', 'not valid before'],
    ['that lacks a name', like(() => ({ names: [{ type: 'dns', value: NAMES[0] }] })), 'certificate_names_mismatch', 'not for ip:10.1.2.3'],
    ['without any name', like(() => ({ names: [] })), 'certificate_names_mismatch', 'not for dns:proxy.example.com, ip:10.1.2.3'],
    ['of a client', like(() => ({ purposes: [CLIENT_AUTH] })), 'certificate_usage_wrong', 'serverAuth'],
    ['that may not sign', like(() => ({ keyUsage: 0x20 })), 'certificate_usage_wrong', 'digitalSignature'],
    ['of an authority', like(() => ({ authority: true })), 'certificate_usage_wrong', 'authority'],
    ['of another authority', ({ csr }) => other.sign(csr), 'certificate_untrusted', 'UNABLE_TO_'],
    ['without its intermediate', async ({ csr }) => (await root.intermediate('I')).sign(csr), 'certificate_untrusted', 'UNABLE_TO_'],
    [
      'of an intermediate that may not sign',
      async ({ csr }) => {
        const intermediate = await root.intermediate('I', { authority: false });
        return (await intermediate.sign(csr)) + intermediate.pem;
      },
      'certificate_chain_invalid',
      'may not sign',
    ],
    [
      'of an intermediate that has expired',
      async ({ csr }) => {
        const intermediate = await root.intermediate('I', { notBefore: clock - 9 * DAY, notAfter: clock - DAY });
        return (await intermediate.sign(csr)) + intermediate.pem;
      },
      'certificate_expired',
      'second certificate',
    ],
    ['with a chain that is not its own', async (prepared) => (await sound(prepared)) + other.pem, 'certificate_chain_invalid', 'first certificate'],
    ['with the chain in front', async (prepared) => root.pem + (await sound(prepared)), 'certificate_chain_invalid', 'first certificate'],
    ['that is no PEM', () => Promise.resolve('hello'), 'certificate_unreadable', 'no PEM certificate'],
    ['that is damaged', async (prepared) => (await sound(prepared)).replace(/\n.{30}/, '\n'), 'certificate_unreadable', 'damaged'],
    ['with its key', async (prepared) => (await sound(prepared)) + served.key, 'certificate_unreadable', 'private key'],
    ['eleven times', async (prepared) => (await sound(prepared)).repeat(11), 'certificate_unreadable', '11 certificates'],
    ['that is too long', async (prepared) => (await sound(prepared)) + ' '.repeat(65_536), 'certificate_unreadable', '65536'],
  ])('refuses a certificate %s, and takes the right one after it', async (_, certificate, code, said) => {
    const prepared = await renewal.prepare();
    const error = await refusal(certificate(prepared).then((pem) => bring(prepared, pem)));
    expect(error).toMatchObject({ code, status: 422, message: expect.stringContaining(said) });
    expect(events.at(-1)).toEqual({ kind: 'refused', call: 'install', error });
    await nothingChanged();
    await bring(prepared, await sound(prepared));
    expect(installed).toHaveLength(1);
  });

  test('takes a certificate with further names, and one without extended key usage', async () => {
    const prepared = await renewal.prepare();
    const names = [
      ...NAMES.map((value) => ({ type: value === '10.1.2.3' ? 'ip' : 'dns', value }) as const),
      { type: 'dns', value: 'b.example' } as const,
    ];
    await bring(prepared, await root.sign(prepared.csr, { names, purposes: null, keyUsage: null }));
    expect(new X509Certificate(installed[0].cert).subjectAltName).toContain('b.example');
  });

  test('takes a certificate of any authority where none is configured, and still looks at everything else', async () => {
    target = { ...(target as RenewalTarget), trust: null };
    const prepared = await renewal.prepare();
    expect((await refusal(other.sign(prepared.csr, { purposes: [CLIENT_AUTH] }).then((pem) => bring(prepared, pem)))).code).toBe(
      'certificate_usage_wrong',
    );
    await bring(prepared, await other.sign(prepared.csr));
    expect(installed).toHaveLength(1);
  });

  test('takes an intermediate as the authority where that is what is configured', async () => {
    const intermediate = await root.intermediate('I');
    target = { ...(target as RenewalTarget), trust: intermediate.pem };
    const prepared = await renewal.prepare();
    await bring(prepared, await intermediate.sign(prepared.csr));
    expect(installed).toHaveLength(1);
  });

  test('refuses an id that is not the one, and one that has run out', async () => {
    expect(await refusal(renewal.install({ renewal_id: 'a'.repeat(64), certificate: served.cert }))).toMatchObject({
      code: 'renewal_unknown',
      status: 409,
    });
    const prepared = await renewal.prepare();
    const certificate = await root.sign(prepared.csr);
    for (const renewal_id of ['', 'a'.repeat(64), `${prepared.renewal_id}0`, prepared.renewal_id.slice(1), 'é'.repeat(32)]) {
      expect((await refusal(renewal.install({ renewal_id, certificate }))).code).toBe('renewal_unknown');
    }
    clock += 10 * MINUTE;
    expect((await refusal(bring(prepared, certificate))).code).toBe('renewal_unknown');
    await nothingChanged();
  });

  test('an id that is not the one never ends the renewal', async () => {
    const prepared = await renewal.prepare();
    for (let i = 0; i < 20; i++) await refusal(renewal.install({ renewal_id: 'a'.repeat(64), certificate: served.cert }));
    await bring(prepared, await sound(prepared));
  });

  test('the sixth certificate that does not fit ends the renewal', async () => {
    const prepared = await renewal.prepare();
    for (let i = 0; i < 6; i++) expect((await refusal(bring(prepared, served.cert))).code).toBe('certificate_key_mismatch');
    expect((await refusal(sound(prepared).then((pem) => bring(prepared, pem)))).code).toBe('renewal_unknown');
    await renewal.prepare();
  });

  test('of two at once one is installed', async () => {
    const prepared = await renewal.prepare();
    const certificate = await sound(prepared);
    const outcomes = await Promise.allSettled([bring(prepared, certificate), bring(prepared, certificate), renewal.prepare()]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(outcomes.slice(1)).toMatchObject([{ reason: { code: 'renewal_pending' } }, { reason: { code: 'renewal_pending' } }]);
    expect(installed).toHaveLength(1);
  });

  test('refuses before the swap when it cannot be stored, and succeeds once it can', async () => {
    const before = target as RenewalTarget;
    // A name that leaves no room for a suffix: a refusal of the system that even root gets.
    const long = { cert: join(before.files.cert, '../', 'c'.repeat(250)), key: before.files.key };
    await rename(before.files.cert, long.cert);
    target = { ...before, files: long };
    const prepared = await renewal.prepare();
    const certificate = await sound(prepared);
    for (let i = 0; i < 8; i++) expect((await refusal(bring(prepared, certificate))).code).toBe('certificate_not_persisted');
    await nothingChanged();
    await rename(long.cert, before.files.cert);
    target = before;
    await bring(prepared, certificate);
    expect(installed).toEqual([await onDisk()]);
    expect(await readdir(join(before.files.cert, '..'))).toEqual(['server.crt', 'server.key']);
    expect(await readFile(before.files.cert, 'utf8')).toBe(certificate);
  });
});

test('is disabled where there is nothing to renew', async () => {
  target = null;
  expect(() => renewal.requireEnabled()).toThrow(expect.objectContaining({ code: 'renewal_disabled' }) as Error);
  for (const call of [renewal.prepare(), renewal.install({ renewal_id: 'x', certificate: 'x' })]) {
    expect(await refusal(call)).toMatchObject({
      code: 'renewal_disabled',
      status: 501,
      members: { error: 'certificate management is external; renewal is disabled' },
    });
  }
});
