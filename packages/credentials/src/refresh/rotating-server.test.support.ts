import { generateKeyPairSync } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Secret } from '@sallyport/sdk';
import { type Adapter, type AdapterPayload, type Client, type Configuration, Provider } from 'oidc-provider';
import { CLIENT_ID, CLIENT_SECRET } from './torture-grant.test.support.js';

/** A real authorization server on loopback that takes every refresh token once, and revokes the family of one that is presented again. */
export interface RotatingServer {
  readonly url: string;
  /** The first refresh token of a new family, as if somebody had consented just now. */
  issue(): Promise<Secret>;
  /** True when the server would take the token. Changes nothing. */
  accepts(token: Secret): Promise<boolean>;
  /** How many tokens were exchanged for a successor so far. */
  rotations(): number;
  close(): Promise<void>;
}

export async function rotatingServer(more: Configuration = {}): Promise<RotatingServer> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const memory = new Map<string, AdapterPayload>();
  let rotations = 0;

  const provider = new Provider(url, {
    adapter: (name: string) => memoryAdapter(memory, name),
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256' }] },
    cookies: { keys: ['unused'] },
    scopes: ['openid', 'offline_access'],
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    rotateRefreshToken: true,
    features: { devInteractions: { enabled: false }, clientCredentials: { enabled: true } },
    ttl: { AccessToken: 3_600, ClientCredentials: 3_600, RefreshToken: 86_400, Grant: 86_400, IdToken: 3_600 },
    issueRefreshToken: () => true,
    ...more,
    clients: [
      {
        client_id: CLIENT_ID,
        client_secret: CLIENT_SECRET,
        token_endpoint_auth_method: 'client_secret_post',
        grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
        redirect_uris: ['https://client.example/callback'],
        id_token_signed_response_alg: 'ES256',
      },
      ...(more.clients ?? []),
    ],
  });
  provider.on('refresh_token.consumed', () => {
    rotations += 1;
  });
  const answer = provider.callback();
  server.on('request', (request, response) => void answer(request, response));

  return {
    url,
    async issue() {
      const client = (await provider.Client.find(CLIENT_ID)) as Client;
      const grant = new provider.Grant({ accountId: 'somebody', clientId: CLIENT_ID });
      grant.addOIDCScope('openid offline_access');
      const grantId = await grant.save();
      const scope = 'openid offline_access';
      const token = new provider.RefreshToken({ accountId: 'somebody', client, grantId, scope, gty: 'authorization_code', authTime: 1 });
      return new Secret(await token.save());
    },
    async accepts(token) {
      const found = await provider.RefreshToken.find(token.reveal());
      return found?.isValid === true && found.consumed === undefined;
    },
    rotations: () => rotations,
    close: () => closeServer(server),
  };
}

/** Ends a server and every connection to it. */
export async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((done) => server.close(() => done()));
  server.closeAllConnections();
  await closed;
}

function memoryAdapter(memory: Map<string, AdapterPayload>, name: string): Adapter {
  const keyOf = (id: string): string => `${name}:${id}`;
  return {
    async upsert(id, payload) {
      memory.set(keyOf(id), payload);
    },
    async find(id) {
      return memory.get(keyOf(id));
    },
    async findByUid() {
      return undefined;
    },
    async findByUserCode() {
      return undefined;
    },
    async consume(id) {
      const payload = memory.get(keyOf(id));
      if (payload !== undefined) payload.consumed = Math.floor(Date.now() / 1000);
    },
    async destroy(id) {
      memory.delete(keyOf(id));
    },
    async revokeByGrantId(grantId) {
      for (const [key, payload] of memory) if (payload.grantId === grantId) memory.delete(key);
    },
  };
}
