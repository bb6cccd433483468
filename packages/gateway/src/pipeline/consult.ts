import { SallyportError, Secret } from '@sallyport/sdk';
import type { Obtained } from '../plugins/credential-cache.js';
import type { ReadBody } from '../plugins/message-body.js';
import type { PlacedFields } from '../plugins/placed-fields.js';
import type { HeaderLines } from '../plugins/plugin-headers.js';
import type { PluginHost, RequestChanges } from '../plugins/plugin-host.js';
import { BodyKind } from '../wire/body-reader.js';
import { cutByName, cutByPrefix, cutNominated } from '../wire/head-writer.js';
import type { ConsultedPlugin } from './consulted-plugin.js';
import { wholeRequestBody } from './forward/whole-request-body.js';
import type { Passage, Transaction } from './passage.js';

/** Keys and signatures are longer than this; what is shorter may be a word that a response needs. */
const SHORTEST_SIGNATURE = 16;

/** Asks the plugin for the credentials of one request: kept ones, shared ones, or its own. Rejects with a `SallyportError`. */
export async function consult(passage: Passage, plugin: ConsultedPlugin, transaction: Transaction, signal: AbortSignal): Promise<Obtained> {
  const key = { raw: transaction.key, context: transaction.context(), caller: passage.exchange.caller?.name ?? null };
  const { client } = passage;
  // When it is asked once more, the body has been read.
  const readBody: ReadBody = async (limit) => passage.wholeBody ?? (await wholeRequestBody(client, limit));
  return await plugin.credentials.obtain(key, ask(passage, plugin, transaction, readBody), signal);
}

/** Fetches anew, beside the requests, what is about to expire. */
export function refreshAhead(passage: Passage, plugin: ConsultedPlugin, transaction: Transaction): void {
  plugin.credentials.refresh(transaction.key, ask(passage, plugin, transaction, alreadyGone));
}

/** Puts the fields of a plugin in the place of what the client sent, or was placed before, under their names; adds to what was placed before. */
export function place(passage: Passage, fields: PlacedFields): void {
  const { exchange, client } = passage;
  for (const name of fields.names) cutByName(client.head, name);
  passage.injectedLines = linesWithout(passage.injectedLines, fields.names) + fields.lines;
  passage.injectedNames = join(passage.injectedNames, fields.credentialNames);
  passage.placedValues = join(passage.placedValues, fields.values);
  exchange.injectedHeaders = passage.injectedNames;
  exchange.secrets = join(exchange.secrets, fields.secrets);
}

/** Makes the request what the plugin made of it. True when its path is another one now, which has to be admitted like the first. */
export function adopt(passage: Passage, { fields, path, query, bodyRead, replacement }: RequestChanges): boolean {
  place(passage, fields);
  passage.wholeBody = replacement ?? (passage.client.bodyKind === BodyKind.none ? null : bodyRead);
  // Not into the exchange: a plugin may sign requests in the query, and that is shown to whoever listens.
  if (query !== null) {
    const { exchange } = passage;
    const values = signatures(exchange.query, query);
    passage.placedValues = join(passage.placedValues, values);
    exchange.secrets = join(
      exchange.secrets,
      values.map((value) => new Secret(value)),
    );
    passage.query = query;
  }
  if (path === null) return false;
  passage.exchange.path = path;
  return true;
}

/** Takes back what was placed, for something else to take its place. What was refused stays unwanted in the answer, and in the record. */
export function unplace(passage: Passage): void {
  passage.injectedLines = '';
}

/** While a request is on its way, nobody else gets its body. */
async function alreadyGone(): Promise<Uint8Array> {
  throw new SallyportError('plugin_failed', { detail: 'a credential that is kept for other requests cannot depend on the body of one' });
}

function ask(
  passage: Passage,
  plugin: ConsultedPlugin,
  transaction: Transaction,
  readBody: ReadBody,
): (signal: AbortSignal) => ReturnType<PluginHost['getCredentials']> {
  const { exchange } = passage;
  const { method, scheme, host, port, path, query } = exchange;
  const url = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}${path}${query}`;
  const headers = outgoing(passage);
  return (signal) => plugin.host.getCredentials(transaction.context(), { method, url, headers, readBody }, signal);
}

/** The fields of the client as they would go out. */
function outgoing({ client: { head }, door }: Passage): HeaderLines {
  if (door.controlPrefix !== null) cutByPrefix(head, door.controlPrefix);
  if (head.nominatesFields) cutNominated(head);
  const lines: [string, string][] = [];
  for (let i = 0; i < head.count; i++) {
    if (head.cut[i] === 1 || door.controlFields[head.id[i]] === 1) continue;
    lines.push([head.bytes.toString('latin1', head.nameStart[i], head.nameEnd[i]), head.valueAt(i)]);
  }
  return lines;
}

/** Header lines but for those under these lower-case names. */
function linesWithout(lines: string, names: readonly string[]): string {
  if (lines === '') return lines;
  return (lines.match(/[^:]+:[^\r\n]*\r\n/g) ?? []).filter((line) => !names.includes(line.slice(0, line.indexOf(':')).toLowerCase())).join('');
}

/** The values that a query has now and had not before, as they are written and as they read; Latin-1. */
function signatures(before: string, after: string): readonly string[] {
  const known = new Set(new URLSearchParams(before).values());
  const values: string[] = [];
  for (const part of after.slice(1).split('&')) {
    const [value = ''] = new URLSearchParams(part).values();
    if (value.length >= SHORTEST_SIGNATURE && !known.has(value))
      values.push(part.slice(part.indexOf('=') + 1), Buffer.from(value).toString('latin1'));
  }
  return values;
}

/** Both, and nothing twice. */
function join<T>(left: readonly T[], right: readonly T[]): readonly T[] {
  if (left.length === 0) return right;
  return right.length === 0 ? left : [...new Set([...left, ...right])];
}
