import type { AddressInfo } from 'node:net';
import { systemRequester } from '../../actors/actors.js';
import { type ControlPlane, type ControlPlaneOptions, openControlPlane } from '../../control-plane.js';
import type { Database } from '../../database/open-database.js';
import { parseProviderConfig } from '../../keys/provider-config.js';
import type { Permission } from '../../permissions/permission.js';
import { newSigner, type Signer, sign } from '../../tokens/tokens.test.support.js';
import type { ServiceName } from '../operation.js';
import { createServiceApp, type ServedRequest, type ServiceApp, type Throttle } from '../service-app.js';

/** Somebody who signs tokens for itself. */
export interface TestActor {
  readonly id: string;
  readonly namespace: string;
  readonly externalId: string;
  /** A token for these services; further claims replace those of a good one. */
  token(claims?: Readonly<Record<string, unknown>>): Promise<string>;
}

/** An answer, read. `body` is what JSON it holds. */
export interface TestAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into documents of every kind.
  readonly body: any;
}

interface TestRequest {
  readonly as?: TestActor | undefined;
  readonly token?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A control plane that listens on loopback, and people who may do everything below their namespace. */
export interface ServedControl {
  readonly plane: ControlPlane;
  readonly url: (service?: ServiceName) => string;
  readonly served: readonly ServedRequest[];
  /** Everything everywhere is allowed to this one. */
  readonly admin: TestActor;
  /** A new actor; everything in its own namespace and below when no permissions are given. */
  readonly actor: (namespace: string, externalId: string, permissions?: readonly Permission[]) => Promise<TestActor>;
  readonly request: (method: string, path: string, request?: TestRequest, service?: ServiceName) => Promise<TestAnswer>;
  readonly close: () => Promise<void>;
}

const SERVICES: readonly ServiceName[] = ['public', 'api', 'admin-api', 'worker'];

const unthrottled: Throttle = { charge: async () => {}, count: async () => ({}) };

/** Opens all services over a database that has its tables. */
export async function serveControl(database: Database, options: Partial<ControlPlaneOptions> = {}): Promise<ServedControl> {
  const globalKey = { current: parseProviderConfig({ value: 'the material of the global key' }) };
  const plane = await openControlPlane({ database, globalKey, issuer: 'sallyport', env: {}, ...options });
  const served: ServedRequest[] = [];
  const apps: ServiceApp[] = [];
  const ports = new Map<ServiceName, number>();
  for (const service of SERVICES) {
    const browsers = plane.browsers.get(service);
    const app = await createServiceApp({
      ...{ service, operations: plane.operations, identify: plane.identify, once: plane.once, onServed: (request) => void served.push(request) },
      version: '1.2.3',
      ...(browsers === undefined ? {} : { sessionCookie: browsers.cookie, cors: browsers.cors }),
      throttle: unthrottled,
    });
    await app.listen({ host: '127.0.0.1', port: 0 });
    apps.push(app);
    ports.set(service, (app.server.address() as AddressInfo).port);
  }
  const url = (service: ServiceName = 'admin-api'): string => {
    return `http://127.0.0.1:${ports.get(service)}`;
  };

  async function actor(namespace: string, externalId: string, permissions?: readonly Permission[]): Promise<TestActor> {
    const everything = [{ namespace: `${namespace}.**`, resources: ['*'], verbs: ['*'] }];
    const signer: Signer = newSigner('ed25519');
    const { id } = await plane.actors.create({ namespace, external_id: externalId, permissions: permissions ?? everything }, systemRequester);
    await plane.actorKeys.add(id, { public_key: JSON.stringify(signer.publicJwk) }, systemRequester);
    const token = async (claims = {}): Promise<string> => {
      const now = Math.floor(Date.now() / 1000);
      return sign(signer, { iss: externalId, sub: externalId, namespace, aud: SERVICES, iat: now, exp: now + 300, ...claims });
    };
    return { id, namespace, externalId, token };
  }

  async function request(method: string, path: string, asked: TestRequest = {}, service: ServiceName = 'admin-api'): Promise<TestAnswer> {
    const { as, body, headers } = asked;
    const token = asked.token ?? (await as?.token());
    const answer = await fetch(`${url(service)}${path}`, {
      method,
      redirect: 'manual',
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, text, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
  }

  return {
    ...{ plane, url, served, actor, request },
    admin: await actor('root', 'admin'),
    close: async () => {
      for (const app of apps) await app.close();
    },
  };
}
