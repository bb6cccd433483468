import { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import type { Queryable } from '../database/schema.js';
import type { Caller } from '../server/caller.js';
import { type Operation, operation, type ServiceName } from '../server/operation.js';
import type { Labels } from './label-grammar.js';
import { type LabelledResource, type LabelSet, setAnnotation, setLabel } from './label-service.js';

/** The labels or annotations of a resource, in the documents of the API. */
export const labelMap = z.record(z.string(), z.string());

/** A resource whose labels and annotations are read and changed one by one below its own path. */
export interface LabelledRoutes {
  /** As permissions name it: `namespaces`. */
  readonly resource: string;
  /** As operations name one of them: `Namespace`. */
  readonly name: string;
  readonly services: readonly ServiceName[];
  /** `/namespaces/:path`; the last part is the parameter that is the id. */
  readonly path: `/${string}`;
  readonly id: string;
  /** What it carries, once the caller may read it. */
  readonly read: (id: string, caller: Caller) => Promise<LabelSet>;
  /** Changes it in the transaction of a change of the resource, once the caller may update it. */
  readonly change: (id: string, caller: Caller, apply: (trx: Queryable, resource: LabelledResource) => Promise<void>) => Promise<void>;
}

const kinds = {
  labels: { one: 'label', name: 'Label', set: setLabel },
  annotations: { one: 'annotation', name: 'Annotation', set: setAnnotation },
} as const;

/** `GET …/labels`, `GET|PUT|DELETE …/labels/:label`, and the same for annotations. */
export function labelOperations(routes: LabelledRoutes): readonly Operation[] {
  return [...operationsOf(routes, 'labels'), ...operationsOf(routes, 'annotations')];
}

function operationsOf({ resource, name, services, path, id, read, change }: LabelledRoutes, kind: 'labels' | 'annotations'): readonly Operation[] {
  const { one, name: oneName, set } = kinds[kind];
  const owner = z.object({ [id]: z.string().max(1024) });
  const entry = z.object({ [id]: z.string().max(1024), [one]: z.string().min(1).max(512) });
  const shown = z.object({ key: z.string(), value: z.string() });
  const common = { services, tag: resource, errors: ['label_invalid', 'not_found'] as const };
  const idOf = (params: Readonly<Record<string, unknown>>): string => String(params[id]);
  const keyOf = (params: Readonly<Record<string, unknown>>): string => String(params[one]);
  return [
    operation({
      ...common,
      name: `list${name}${oneName}s`,
      method: 'GET',
      path: `${path}/${kind}`,
      summary: `The ${kind} of one of the ${resource}`,
      access: { resource, verb: 'get', id },
      params: owner,
      status: 200,
      result: labelMap,
      handle: async ({ params, caller }) => ({ body: (await read(idOf(params), caller))[kind] }),
    }),
    operation({
      ...common,
      name: `get${name}${oneName}`,
      method: 'GET',
      path: `${path}/${kind}/:${one}`,
      summary: `One ${one} of one of the ${resource}`,
      access: { resource, verb: 'get', id },
      params: entry,
      status: 200,
      result: shown,
      handle: async ({ params, caller }) => {
        const key = keyOf(params);
        return { body: { key, value: labelled((await read(idOf(params), caller))[kind], key, one) } };
      },
    }),
    operation({
      ...common,
      name: `set${name}${oneName}`,
      method: 'PUT',
      path: `${path}/${kind}/:${one}`,
      summary: `Sets one ${one}`,
      access: { resource, verb: 'update', id },
      params: entry,
      body: z.strictObject({ value: z.string().max(262_144) }),
      status: 200,
      result: shown,
      handle: async ({ params, body, caller }) => {
        const key = keyOf(params);
        await change(idOf(params), caller, (trx, labelled) => set(trx, labelled, key, body.value));
        return { body: { key, value: body.value } };
      },
    }),
    operation({
      ...common,
      name: `delete${name}${oneName}`,
      method: 'DELETE',
      path: `${path}/${kind}/:${one}`,
      summary: `Removes one ${one}; also when it is not there`,
      access: { resource, verb: 'update', id },
      params: entry,
      status: 204,
      handle: async ({ params, caller }) => {
        await change(idOf(params), caller, (trx, labelled) => set(trx, labelled, keyOf(params), null));
        return {};
      },
    }),
  ];
}

function labelled(all: Labels, key: string, one: string): string {
  const value = Object.hasOwn(all, key) ? all[key] : undefined;
  if (value === undefined) throw new SallyportError('not_found', { detail: `It does not have this ${one}.`, hint: 'List what it carries.' });
  return value;
}
