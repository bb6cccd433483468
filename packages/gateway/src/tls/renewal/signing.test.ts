import { once } from 'node:events';
import { createServer, type RequestOptions, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { asSallyportError, type CertificateSigner, SallyportError } from '@sallyport/sdk';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { readNames } from './alternative-names.js';
import { makeRequest } from './certificate-request.js';
import { DAY, generateKeys, type Issuer, rootIssuer } from './issuing.test.support.js';
import { signRequest } from './signing.js';
import { signOverHttp } from './signing-endpoint.js';

let root: Issuer;
let csr: string;
beforeAll(async () => {
  root = await rootIssuer();
  ({ csr } = await makeRequest({ commonName: 'x', names: readNames(['proxy.example.com', '10.1.2.3']) }));
});

const never = new AbortController().signal;
const signed = (signCsr: CertificateSigner['signCsr'], signal = never) => signRequest({ csr, signer: { signCsr }, signal });

test('what the signer answers is handed on when it is right', async () => {
  const intermediate = await root.intermediate('I');
  let given = '';
  const { pem, notAfter } = await signed(async (request, { signal }) => {
    given = request;
    expect(signal.aborted).toBe(false);
    return `text around\r\n${await intermediate.sign(request)}\n${intermediate.pem}`;
  });
  expect(given).toBe(csr);
  expect(pem.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  expect(pem).not.toContain('text around');
  expect(notAfter).toBeGreaterThan(Date.now());
});

test.each<[string, CertificateSigner['signCsr'], string]>([
  ['for another key', async (it) => root.sign(it, { publicKey: (await generateKeys()).publicKey }), 'certificate_key_mismatch'],
  ['for fewer names', (it) => root.sign(it, { names: [{ type: 'dns', value: 'proxy.example.com' }] }), 'certificate_names_mismatch'],
  [
    'for more names',
    (it) =>
      root.sign(it, {
        names: [
          { type: 'dns', value: 'proxy.example.com' },
          { type: 'ip', value: '10.1.2.3' },
          { type: 'dns', value: 'evil.example' },
        ],
      }),
    'certificate_names_mismatch',
  ],
  ['that has expired', (it) => root.sign(it, { notBefore: Date.now() - 2 * DAY, notAfter: Date.now() - DAY }), 'certificate_expired'],
  ['of an authority', (it) => root.sign(it, { authority: true }), 'certificate_usage_wrong'],
  ['with its chain in disorder', async (it) => root.pem + (await root.sign(it)), 'certificate_chain_invalid'],
  ['that is none', () => 'nonsense', 'certificate_unreadable'],
])('a certificate %s is not handed on', async (_, signCsr, reason) => {
  await expect(signed(signCsr)).rejects.toMatchObject({
    code: 'plugin_result_invalid',
    members: { reason },
    message: expect.stringContaining('signCsr'),
  });
});

describe('a signer', () => {
  test('that is not there', async () => {
    await expect(signRequest({ csr, signer: null, signal: never })).rejects.toMatchObject({ code: 'signing_not_configured', status: 501 });
  });

  test('that answers no text', async () => {
    await expect(signed((() => null) as unknown as CertificateSigner['signCsr'])).rejects.toMatchObject({ code: 'plugin_result_invalid' });
  });

  test('that throws, at once or later', async () => {
    const failing = (): never => {
      throw new Error('the HSM said s3cret');
    };
    for (const signCsr of [failing, async () => Promise.reject(new Error('the HSM said s3cret'))]) {
      const error = await signed(signCsr).catch((thrown: unknown) => thrown as SallyportError);
      expect(error).toMatchObject({ code: 'plugin_failed' });
      expect((error as SallyportError).message).not.toContain('s3cret');
    }
    const own = new SallyportError('credential_unavailable', { detail: 'no rights' });
    await expect(signed(() => Promise.reject(own))).rejects.toBe(own);
  });

  test('that never answers', async () => {
    const abort = new AbortController();
    const signing = signed(() => {
      abort.abort();
      return new Promise<string>(() => {});
    }, abort.signal);
    await expect(signing).rejects.toMatchObject({ code: 'plugin_timeout' });
    await expect(signed(() => root.sign(csr), AbortSignal.abort())).rejects.toMatchObject({ code: 'plugin_timeout' });
  });

  test('is not asked about a request that is none', async () => {
    const signer: CertificateSigner = { signCsr: () => expect.unreachable() };
    const nameless = (await makeRequest({ commonName: 'x', names: [] })).csr;
    await expect(signRequest({ csr: nameless, signer, signal: never })).rejects.toMatchObject({ code: 'certificate_request_nameless' });
    await expect(signRequest({ csr: 'x', signer, signal: never })).rejects.toMatchObject({ code: 'certificate_request_invalid' });
  });
});

describe('over HTTP', () => {
  async function endpoint(signer: CertificateSigner | null, timeout = 30_000): Promise<number> {
    const server = createServer((incoming, response) => {
      signOverHttp(incoming, { signer, timeout }).then(
        ({ type, body }) => response.setHeader('Content-Type', type).end(body),
        (error: unknown) => {
          const { code, status } = asSallyportError(error);
          response.writeHead(status, { Connection: 'close' }).end(code);
        },
      );
    }).listen(0, '127.0.0.1');
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  async function post(port: number, body: string, headers: RequestOptions['headers'] = {}): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port, method: 'POST', headers, agent: false }, (response) => {
        text(response).then((answer) => resolve({ status: response.statusCode ?? 0, body: answer }), reject);
      });
      // A refusal may come before all of the body is out.
      sent.on('error', reject).end(body);
    });
  }

  const signer: CertificateSigner = { signCsr: (it) => root.sign(it) };

  test('a request becomes a certificate', async () => {
    const { status, body } = await post(await endpoint(signer), csr);
    expect(status).toBe(200);
    expect(body).toMatch(/^-----BEGIN CERTIFICATE-----\n[\s\S]+-----END CERTIFICATE-----\n$/);
  });

  test.each([
    ['without a signer', null, () => csr, {}, 501, 'signing_not_configured'],
    ['with something else', signer, () => 'hello', {}, 422, 'certificate_request_invalid'],
    ['with nothing', signer, () => '', {}, 422, 'certificate_request_invalid'],
    ['with too much', signer, () => csr + 'x'.repeat(65_536), {}, 422, 'certificate_request_invalid'],
    ['from a web page', signer, () => csr, { origin: 'https://evil.example' }, 422, 'certificate_request_invalid'],
  ])('%s it is refused', async (_, by, body, headers, status, code) => {
    expect(await post(await endpoint(by), body(), headers)).toEqual({ status, body: code });
  });

  test('a signer that hangs is given up', async () => {
    const port = await endpoint({ signCsr: () => new Promise<string>(() => {}) }, 1);
    expect(await post(port, csr)).toEqual({ status: 504, body: 'plugin_timeout' });
  });
});
