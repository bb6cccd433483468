import { createSecretKey } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import { openBytes, sealBytes } from './aes-gcm.js';

/** The few calls of Vault that are made, on this machine. */
export interface TestVault {
  readonly address: string;
  writeSecret(material: string): void;
  rotateTransit(): void;
  stop(): Promise<void>;
}

interface TransitCall {
  readonly plaintext: string;
  readonly ciphertext: string;
  readonly associated_data: string;
}

/** Starts one with the token `vault-token`, the KV secret `app/key` (`material`) and the Transit key `app`, which is made of this byte. */
export async function startVault(byte = 9): Promise<TestVault> {
  const secrets: string[] = [];
  const key = createSecretKey(Buffer.alloc(32, byte));
  let transitVersion = 1;

  function transit(path: string, call: TransitCall): unknown {
    const associated = Buffer.from(call.associated_data, 'base64');
    if (path.startsWith('encrypt/')) {
      return { ciphertext: `vault:v${transitVersion}:${sealBytes(key, Buffer.from(call.plaintext, 'base64'), associated).toString('base64')}` };
    }
    const sealed = Buffer.from(call.ciphertext.split(':')[2] ?? '', 'base64');
    return { plaintext: openBytes(key, sealed, associated).toString('base64') };
  }

  function answer(request: IncomingMessage, body: string): { status: number; data: unknown } {
    const url = new URL(request.url ?? '/', 'http://vault');
    if (request.headers['x-vault-token'] !== 'vault-token') return { status: 403, data: null };
    if (url.pathname === '/v1/secret/data/app/key') {
      const version = Number(url.searchParams.get('version') ?? secrets.length);
      const material = secrets[version - 1];
      return material === undefined ? { status: 404, data: null } : { status: 200, data: { data: { material }, metadata: { version } } };
    }
    if (url.pathname === '/v1/transit/keys/app') return { status: 200, data: { latest_version: transitVersion } };
    if (url.pathname.startsWith('/v1/transit/')) {
      try {
        return { status: 200, data: transit(url.pathname.slice('/v1/transit/'.length), JSON.parse(body) as TransitCall) };
      } catch {
        return { status: 400, data: null };
      }
    }
    return { status: 404, data: null };
  }

  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      const { status, data } = answer(request, body);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ data }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    address: `http://127.0.0.1:${port}`,
    writeSecret: (material) => void secrets.push(material),
    rotateTransit: () => {
      transitVersion += 1;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
