import { type FakeReply, type FakeRequest, type FakeServer, fakeServer } from './http-server.test.support.js';

interface Version {
  readonly id: string;
  readonly value: string;
  readonly tags: Record<string, string>;
}

/** Key Vault, Entra ID and the metadata service on one port, as far as the store meets them, written after their documentation. */
export interface FakeAzure extends FakeServer {
  /** All versions of each secret, oldest first. */
  readonly secrets: Map<string, Version[]>;
  /** Access tokens that the vault takes. */
  readonly tokens: Set<string>;
  /** What the vault asks a token for. */
  challenge: string;
  put(name: string, value: string, tags?: Record<string, string>): void;
}

export const RESOURCE = 'https://vault.azure.net';
export const TENANT = '11111111-2222-3333-4444-555555555555';
export const CLIENT_ID = 'client-1';
export const CLIENT_SECRET = 'client-secret-value';
export const FEDERATED_TOKEN = 'federated-token-value';

/** Starts it empty. */
export async function fakeAzure(): Promise<FakeAzure> {
  const secrets = new Map<string, Version[]>();
  const tokens = new Set<string>();
  let count = 0;

  function issue(expiresIn: number | string): FakeReply {
    count += 1;
    const token = `access-token-${count}`;
    tokens.add(token);
    return { status: 200, body: { token_type: 'Bearer', expires_in: expiresIn, access_token: token } };
  }

  function tokenEndpoint(request: FakeRequest): FakeReply {
    const form = new URLSearchParams(request.body);
    const assertion =
      form.get('client_assertion_type') === 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' ? form.get('client_assertion') : null;
    const known = form.get('client_secret') === CLIENT_SECRET || assertion === FEDERATED_TOKEN;
    if (form.get('grant_type') !== 'client_credentials' || form.get('scope') !== `${RESOURCE}/.default`) {
      return { status: 400, body: { error: 'invalid_scope', error_codes: [70011] } };
    }
    if (form.get('client_id') === CLIENT_ID && known) return issue(3599);
    return { status: 401, body: { error: 'invalid_client', error_description: `AADSTS7000215: ${CLIENT_SECRET}`, error_codes: [7000215] } };
  }

  function metadata(request: FakeRequest): FakeReply {
    const { headers, query } = request;
    if (headers.metadata !== 'true' || query.get('api-version') !== '2018-02-01' || query.get('resource') !== RESOURCE) {
      return { status: 400, body: { error: 'invalid_request' } };
    }
    return issue('3599');
  }

  function bundle(name: string, version: Version): FakeReply {
    const { id, value, tags } = version;
    return { status: 200, body: { value, id: `${server.url}/secrets/${name}/${id}`, attributes: { enabled: true }, tags } };
  }

  function add(name: string, value: string, tags: Record<string, string>): Version {
    count += 1;
    const version = { id: count.toString(16).padStart(32, '0'), value, tags };
    secrets.set(name, [...(secrets.get(name) ?? []), version]);
    return version;
  }

  function vault(request: FakeRequest, name: string): FakeReply {
    const token = /^Bearer (.+)$/.exec(String(request.headers.authorization))?.[1] ?? '';
    if (!tokens.has(token)) {
      const field = `Bearer authorization="https://login.microsoftonline.com/${TENANT}", resource="${azure.challenge}"`;
      return { status: 401, headers: { 'www-authenticate': field }, body: { error: { code: 'Unauthorized', message: 'AKV10000' } } };
    }
    if (request.query.get('api-version') !== '7.4') return refuse(400, 'BadParameter');
    const versions = secrets.get(name) ?? [];
    if (request.method === 'GET') return versions.length === 0 ? refuse(404, 'SecretNotFound') : bundle(name, versions[versions.length - 1]);
    const { value, tags } = JSON.parse(request.body) as { value: string; tags: Record<string, string> };
    return value.length > 25_600 ? refuse(400, 'BadParameter') : bundle(name, add(name, value, tags));
  }

  const server = await fakeServer((request) => {
    if (request.path === `/${TENANT}/oauth2/v2.0/token`) return tokenEndpoint(request);
    if (request.path === '/metadata/identity/oauth2/token') return metadata(request);
    const name = /^\/secrets\/([0-9a-zA-Z-]{1,127})$/.exec(request.path)?.[1];
    return name === undefined ? refuse(404, 'NotFound') : vault(request, name);
  });
  const azure: FakeAzure = Object.assign(server, {
    secrets,
    tokens,
    challenge: RESOURCE,
    put: (name: string, value: string, tags: Record<string, string> = {}) => add(name, value, tags),
  });
  return azure;
}

function refuse(status: number, code: string): FakeReply {
  return { status, body: { error: { code, message: 'a message' } } };
}
