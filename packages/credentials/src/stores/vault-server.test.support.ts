import { type FakeReply, type FakeRequest, type FakeServer, fakeServer } from './http-server.test.support.js';

interface Version {
  readonly data: Record<string, unknown>;
  deleted: boolean;
}

/** Vault as far as the store meets it, after the documentation of its API: KV version 2 at `secret/`, AppRole, Kubernetes, renewal, namespaces. */
export interface FakeVault extends FakeServer {
  /** All versions of each path. */
  readonly secrets: Map<string, Version[]>;
  /** Live tokens, and when they end: milliseconds since the epoch. */
  readonly tokens: Map<string, number>;
  /** Seconds that a login is good for, and how much a renewal gives. */
  lifetime: number;
  renewal: number;
  /** Namespace that has to be named; empty for none. */
  namespace: string;
  put(path: string, data: Record<string, unknown>): void;
  delete(path: string): void;
}

export const ROLE_ID = 'role-id-1';
export const SECRET_ID = 'secret-id-value';
export const KUBERNETES_JWT = 'kubernetes-jwt-value';
export const ROOT_TOKEN = 'hvs.root-token-value';

/** Starts it with one token that is good for everything. */
export async function fakeVault(): Promise<FakeVault> {
  const secrets = new Map<string, Version[]>();
  const tokens = new Map([[ROOT_TOKEN, Number.POSITIVE_INFINITY]]);
  let issued = 0;

  function issue(): FakeReply {
    issued += 1;
    const token = `hvs.issued-token-${issued}`;
    tokens.set(token, Date.now() + vault.lifetime * 1000);
    return { status: 200, body: { auth: { client_token: token, lease_duration: vault.lifetime, renewable: true } } };
  }

  function login(request: FakeRequest): FakeReply | null {
    const fields = JSON.parse(request.body || '{}') as Record<string, unknown>;
    if (request.path === '/v1/auth/approle/login') {
      return fields.role_id === ROLE_ID && fields.secret_id === SECRET_ID ? issue() : refuse(400, 'invalid role or secret ID');
    }
    if (request.path === '/v1/auth/kubernetes/login') {
      return fields.role === 'sallyport' && fields.jwt === KUBERNETES_JWT ? issue() : refuse(403, 'permission denied');
    }
    return null;
  }

  function renew(token: string): FakeReply {
    tokens.set(token, Date.now() + vault.renewal * 1000);
    return { status: 200, body: { auth: { client_token: token, lease_duration: vault.renewal, renewable: true } } };
  }

  function read(path: string): FakeReply {
    const versions = secrets.get(path);
    if (versions === undefined) return { status: 404, body: { errors: [] } };
    const newest = versions[versions.length - 1];
    const metadata = { version: versions.length, created_time: '2026-01-01T00:00:00Z', deletion_time: newest.deleted ? '2026-01-02T00:00:00Z' : '' };
    if (newest.deleted) return { status: 404, body: { data: { data: null, metadata: { ...metadata, destroyed: false } } } };
    return { status: 200, body: { data: { data: newest.data, metadata: { ...metadata, destroyed: false } } } };
  }

  function write(path: string, body: string): FakeReply {
    const { options, data } = JSON.parse(body) as { options: { cas: number }; data: Record<string, unknown> };
    const versions = secrets.get(path) ?? [];
    if (options.cas !== versions.length) return refuse(400, 'check-and-set parameter did not match the current version');
    secrets.set(path, [...versions, { data, deleted: false }]);
    return {
      status: 200,
      body: { data: { version: versions.length + 1, created_time: '2026-01-01T00:00:00Z', deletion_time: '', destroyed: false } },
    };
  }

  const server = await fakeServer((request) => {
    if ((request.headers['x-vault-namespace'] ?? '') !== vault.namespace) return refuse(403, 'permission denied');
    const loggedIn = login(request);
    if (loggedIn !== null) return loggedIn;
    const token = String(request.headers['x-vault-token']);
    if ((tokens.get(token) ?? 0) <= Date.now()) return refuse(403, 'permission denied');
    if (request.path === '/v1/auth/token/renew-self') return renew(token);
    const path = /^\/v1\/secret\/data\/(.+)$/.exec(request.path)?.[1];
    if (path === undefined) return refuse(404, `no handler for route "${request.path}". route entry not found.`);
    return request.method === 'GET' ? read(decodeURIComponent(path)) : write(decodeURIComponent(path), request.body);
  });

  const vault: FakeVault = Object.assign(server, {
    secrets,
    tokens,
    lifetime: 3600,
    renewal: 3600,
    namespace: '',
    put: (path: string, data: Record<string, unknown>) => secrets.set(path, [...(secrets.get(path) ?? []), { data, deleted: false }]),
    delete: (path: string) => {
      const versions = secrets.get(path) ?? [];
      versions[versions.length - 1].deleted = true;
    },
  });
  return vault;
}

function refuse(status: number, reason: string): FakeReply {
  return { status, body: { errors: [reason] } };
}
