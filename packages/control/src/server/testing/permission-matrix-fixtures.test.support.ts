import { systemRequester } from '../../actors/actors.js';
import type { Database } from '../../database/open-database.js';
import { REENCRYPT_KEYS } from '../../keys/key-tasks.js';
import { newSigner } from '../../tokens/tokens.test.support.js';
import type { DocumentedOperation } from './permission-matrix.test.support.js';
import type { ServedControl } from './served-control.test.support.js';

/** Where an operation is called in a case of the matrix, and what it concerns. */
export interface Place {
  readonly path: string;
  /** The same with an id that nothing has; the path itself where there is none. */
  readonly absentPath: string;
  readonly query: Readonly<Record<string, string>>;
  readonly body: unknown;
  /** The namespace that a permission for this has to name. */
  readonly namespace: string;
  /** What `resource_ids` of a permission would name: of the parameter that `x-sallyport-access` says is the id. */
  readonly id: string | undefined;
}

/** Something that is there for a case: the value of the parameter that names it, and the namespace that permissions know it by. */
interface Thing {
  readonly value: string;
  readonly namespace: string;
}

type Make = (namespace: string, parent: Thing | undefined) => Promise<Thing>;

const labels = { env: 'prod' };
const annotations = { env: 'prod' };
const far = (): number => Date.now() + 3_600_000;

/** Makes what the operations of the document are about, in any namespace that is there. */
export function matrixFixtures(control: ServedControl, database: Database) {
  const { plane } = control;
  let count = 0;
  const fresh = (): string => {
    count += 1;
    return `x${count}`;
  };

  const actor: Make = async (namespace) => {
    const { id } = await plane.actors.create({ namespace, external_id: `${namespace}-${fresh()}`, labels, annotations }, systemRequester);
    return { value: id, namespace };
  };
  const session: Make = async (namespace) => {
    const owner = await plane.actors.get((await actor(namespace, undefined)).value, systemRequester);
    const opened = await plane.sessions.open({ actor: owner, restriction: undefined, service: 'public', signedInBy: 'token' });
    return { value: opened.session.id, namespace };
  };
  const given = (value: string): Make => {
    return async (namespace, parent) => ({ value, namespace: parent?.namespace ?? namespace });
  };

  /** By the path up to the parameter. Every parameter of the document needs one. */
  const byPath: Readonly<Record<string, Make>> = {
    '/namespaces/{path}': async (namespace) => {
      const path = `${namespace}.${fresh()}`;
      await control.request('POST', '/namespaces', { as: control.admin, body: { path, labels, annotations } });
      return { value: path, namespace: path };
    },
    '/namespace-deletions/{id}': async (namespace) => {
      const path = `${namespace}.${fresh()}`;
      await control.request('POST', '/namespaces', { as: control.admin, body: { path } });
      const deletion = await control.request('DELETE', `/namespaces/${path}`, { as: control.admin });
      return { value: (deletion.body as { readonly id: string }).id, namespace: path };
    },
    '/actors/{id}': actor,
    '/actors/external-id/{external_id}': async (namespace) => {
      const { value } = await actor(namespace, undefined);
      return { value: (await plane.actors.get(value, systemRequester)).external_id, namespace };
    },
    '/actors/{id}/keys/{key_id}': async (namespace, parent) => {
      const key = { public_key: JSON.stringify(newSigner('ed25519').publicJwk) };
      return { value: (await plane.actorKeys.add(parent?.value ?? '', key, systemRequester)).id, namespace };
    },
    '/keys/{id}': async (namespace) => {
      const body = { namespace, name: `${namespace}-${fresh()}`, key_data: { random: true }, labels, annotations };
      const created = (await control.request('POST', '/keys', { as: control.admin, body })).body as { readonly id: string };
      return { value: created.id, namespace };
    },
    '/sessions/{id}': session,
    '/me/sessions/{id}': given('ses_nobody'),
    '/sign-in/{provider}': given('nobody'),
    '/tasks/{id}': async (namespace) => ({
      value: (await plane.tasks.enqueue(database.db, REENCRYPT_KEYS, {}, { namespace, runAt: far() })).id,
      namespace,
    }),
  };

  /** What the least body that the schema allows is not enough for. */
  const bodies: Readonly<Record<string, (namespace: string) => object>> = {
    createNamespace: (namespace) => ({ path: `${namespace}.${fresh()}` }),
    createActor: (namespace) => ({ external_id: `${namespace}-${fresh()}`, namespace }),
    addActorKey: () => ({ public_key: JSON.stringify(newSigner('ed25519').publicJwk) }),
    createKey: (namespace) => ({ namespace, name: `${namespace}-${fresh()}`, key_data: { random: true } }),
    createToken: () => ({ audiences: ['api'], lifetime: 60 }),
  };

  /** Operations on what is in no tenant. */
  const atRoot = ['getReencryption', 'runReencryption'];

  /** What a list of the document shows of a namespace, by the name of the operation. */
  const listed: Readonly<Record<string, (namespace: string) => Promise<unknown>>> = {
    listNamespaces: async () => {},
    listActors: (namespace) => actor(namespace, undefined),
    listKeys: (namespace) => make('/keys/{id}', namespace, undefined),
    listSessions: (namespace) => session(namespace, undefined),
    listTasks: (namespace) => make('/tasks/{id}', namespace, undefined),
    // The making of the namespace itself is an event.
    listAuditEvents: async () => {},
  };

  async function make(path: string, namespace: string, parent: Thing | undefined): Promise<Thing> {
    const one = /\/(labels|annotations)\/\{\w+\}$/.test(path) ? given('env') : byPath[path];
    if (one === undefined) throw new Error(`permission-matrix-fixtures.test.support.ts has nothing for ${path}: add a fixture to \`byPath\`.`);
    return one(namespace, parent);
  }

  /** Makes what the operation is about. */
  async function place(operation: DocumentedOperation, tenant: string): Promise<Place> {
    const { access, name, pathParameters } = operation;
    const idParameter = typeof access === 'object' ? access.id : undefined;
    const home = atRoot.includes(name) ? 'root' : tenant;
    const made = new Map<string, Thing>();
    let last: Thing | undefined;
    for (const parameter of pathParameters) {
      const end = operation.path.indexOf(`{${parameter}}`) + parameter.length + 2;
      last = await make(operation.path.slice(0, end), home, last);
      made.set(parameter, last);
    }
    const body = operation.body === undefined ? undefined : { ...(operation.body as object), ...bodies[name]?.(home) };
    const created = name === 'createNamespace' ? (body as { path: string }).path : undefined;
    const absent = idParameter ?? pathParameters[0];
    const pathWith = (suffix: string): string =>
      operation.path.replaceAll(/\{(\w+)\}/g, (_, parameter: string) =>
        encodeURIComponent(`${made.get(parameter)?.value ?? ''}${parameter === absent ? suffix : ''}`),
      );
    const inQuery = operation.queryParameters.includes('namespace') && pathParameters.length > 0 ? { namespace: home } : {};
    return {
      ...{ path: pathWith(''), absentPath: pathWith('z'), body, query: { ...operation.query, ...inQuery } },
      namespace: created ?? made.get(pathParameters[0] ?? '')?.namespace ?? home,
      id: idParameter === undefined ? undefined : made.get(idParameter)?.value,
    };
  }

  /** Puts something of this list into a namespace. */
  async function fill({ name }: DocumentedOperation, namespace: string): Promise<void> {
    const one = listed[name];
    if (one === undefined) throw new Error(`permission-matrix-fixtures.test.support.ts has nothing for ${name}: add what it lists to \`listed\`.`);
    await one(namespace);
  }

  return { place, fill };
}

/** Operations that are allowed and nevertheless answer with a problem: the code of it. Everything else must succeed. */
export const expectedProblems: Readonly<Record<string, string>> = {
  // The namespace inherits, and there is no such key.
  getNamespaceKey: 'key_not_found',
  setNamespaceKey: 'key_not_found',
  // Of a caller with a token there is no session.
  getSession: 'session_not_found',
  revokeOwnSession: 'session_not_found',
  initiateSession: 'session_token_reusable',
  beginSignIn: 'sign_in_provider_unknown',
  completeSignIn: 'sign_in_provider_unknown',
};
