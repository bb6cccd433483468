import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTokenVerifier, parsePublicKey, publicVerificationKey, sharedVerificationKey } from '@sallyport/control';
import { makeDevelopmentCertificates } from '@sallyport/gateway';
import { SallyportError, Secret } from '@sallyport/sdk';
import { onTestFinished } from 'vitest';

/** A folder that goes when the test ends. */
export function folder(): { readonly path: string; file(name: string, text: string, mode?: number): string } {
  const path = mkdtempSync(join(tmpdir(), 'sallyport-client-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return {
    path,
    file(name, text, mode = 0o600) {
      writeFileSync(join(path, name), text, { mode });
      return join(path, name);
    },
  };
}

/** A new Ed25519 key: the private half as PKCS#8, the public one as SPKI. */
export function newKey(): { readonly privatePem: string; readonly publicPem: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}

/** Environment variables for one test. */
export function setVariables(variables: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(variables)) {
    const before = process.env[name];
    onTestFinished(() => {
      if (before === undefined) delete process.env[name];
      else process.env[name] = before;
    });
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
}

/** The verifier of the control plane with one actor, ada of root.team, who has one key, and with a host that speaks for actors by a shared secret. */
export async function verifierWith({ publicKey, secret }: { publicKey?: string; secret?: string }): Promise<ReturnType<typeof createTokenVerifier>> {
  const key = publicKey === undefined ? undefined : publicVerificationKey(await parsePublicKey(publicKey));
  const shared = secret === undefined ? undefined : sharedVerificationKey('host-key', new Secret(secret));
  const used = new Set<string>();
  return createTokenVerifier({
    issuers: new Map(shared === undefined ? [] : [['host', { findKeys: async () => [shared], namespace: 'root', longestLife: 3600 }]]),
    actorKeys: async ({ namespace, external_id }) => (key !== undefined && namespace === 'root.team' && external_id === 'ada' ? [key] : []),
    useNonce: async ({ nonce }) => {
      if (used.has(nonce)) return false;
      used.add(nonce);
      return true;
    },
  });
}

/** A server that answers; `seen` are the requests that came. */
export interface TestServer {
  readonly url: string;
  readonly seen: IncomingMessage[];
}

/** A server on loopback that goes when the test ends. With `tls` it is one for https. */
export async function testServer(
  answer: (request: IncomingMessage, response: ServerResponse) => unknown,
  tls?: { readonly cert: string; readonly key: string },
): Promise<TestServer> {
  const seen: IncomingMessage[] = [];
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    seen.push(request);
    Promise.resolve(answer(request, response)).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined);
    });
  };
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`, seen };
}

/** Answers as JSON. */
export function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response
    .writeHead(status, { 'Content-Type': status >= 400 ? 'application/problem+json' : 'application/json', ...headers })
    .end(JSON.stringify(body));
}

/** A control plane as far as signing goes: `/me` says who asks, anything else is echoed; a token that does not hold is refused as it is there. */
export async function controlServer(publicKey: string, audience = 'admin-api'): Promise<TestServer> {
  const verify = await verifierWith({ publicKey });
  return testServer(async (request, response) => {
    try {
      const { external_id, namespace } = await verify(request.headers.authorization?.replace(/^Bearer /, '') ?? '', audience);
      if (request.url === '/me') {
        json(response, 200, { actor: { external_id, namespace, labels: { team: 'a' } }, permissions: [] });
        return;
      }
      response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'X-Path': request.url, 'Set-Cookie': 'a=b' });
      request.pipe(response);
    } catch (error) {
      if (!(error instanceof SallyportError)) throw error;
      json(response, error.status, { code: error.code, detail: error.message, hint: error.hint, request_id: 'req_1' });
    }
  });
}

/** A certificate for this machine, its key, and the authority that signed it; `ca` is PEM, `caFile` where it stands. */
export async function developmentCertificates() {
  const directory = join(folder().path, 'certificates');
  const { paths } = await makeDevelopmentCertificates({ directory, domains: [], force: false, keepAuthorityKey: false });
  const read = (path: string): string => readFileSync(path, 'utf8');
  return { ca: read(paths.ca), caFile: paths.ca, cert: read(paths.serverCert), key: read(paths.serverKey), files: paths };
}
