import { SallyportError, TransactionContext } from '@sallyport/sdk';
import type { Transaction } from '../pipeline/passage.js';
import { rawContextKey } from '../plugins/context-hash.js';
import type { Head } from '../wire/head.js';
import { readContextData } from './context-data.js';
import type { SidecarDoor } from './sidecar-door.js';

/** The context fields of a request as they came, in the order of `contextFieldNames`; null for those that are not there. */
type Values = readonly (string | null)[];

/** Data that is nested deeper could not be handed to a plugin in a thread. */
const DEEPEST = 64;

/** Reads what the requests of one connection say about themselves: mostly the same as the one before, which costs no string. */
export class TransactionReader {
  #door: SidecarDoor | null = null;
  #caller = '';
  #values: Values = [];
  #key = '';
  /** The last context data that could be read. */
  #readable = '';

  /** Refuses context data that cannot be read. Errors: `context_data_invalid`. */
  requireReadable(head: Head, { contextField }: SidecarDoor): void {
    if (head.indexOf(contextField) < 0 || head.valueIs(contextField, this.#readable)) return;
    const value = head.value(contextField) ?? '';
    readContextData(value);
    this.#readable = value;
  }

  /** What this request says. `caller` is whose name its credentials are kept under. Errors: `context_data_invalid`. */
  read(head: Head, door: SidecarDoor, caller: string, traceId: string): Transaction {
    if (!this.#same(head, door, caller)) {
      const values = door.contextFields.map((id) => head.value(id));
      // Here, and not when a plugin is asked: nobody should get past a plugin with data that it cannot be given.
      requireShallow(values.at(-1) ?? null);
      this.#door = door;
      this.#caller = caller;
      this.#values = values;
      this.#key = rawContextKey(caller, values);
    }
    return new SidecarTransaction(this.#key, this.#values, traceId);
  }

  #same(head: Head, door: SidecarDoor, caller: string): boolean {
    if (door !== this.#door || caller !== this.#caller) return false;
    for (let i = 0; i < door.contextFields.length; i++) {
      const value = this.#values[i];
      const id = door.contextFields[i];
      if (value === null ? head.indexOf(id) >= 0 : !head.valueIs(id, value)) return false;
    }
    return true;
  }
}

class SidecarTransaction implements Transaction {
  readonly key: string;
  readonly #values: Values;
  readonly #traceId: string;
  #context: TransactionContext | null = null;

  constructor(key: string, values: Values, traceId: string) {
    this.key = key;
    this.#values = values;
    this.#traceId = traceId;
  }

  context(): TransactionContext {
    if (this.#context !== null) return this.#context;
    const [targetUrl, vendorId, environmentId, marketplaceId, productId, subscriptionId] = this.#values.map((value) => value ?? '');
    this.#context = new TransactionContext({
      targetUrl,
      vendorId,
      environmentId,
      marketplaceId,
      productId,
      subscriptionId,
      traceId: this.#traceId,
      data: readContextData(this.#values.at(-1) ?? null),
    });
    return this.#context;
  }
}

function requireShallow(contextData: string | null): void {
  if (isWithin(readContextData(contextData), DEEPEST)) return;
  throw new SallyportError('context_data_invalid', { detail: `the context data cannot be used: it is nested more than ${DEEPEST} deep` });
}

function isWithin(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return depth >= 0 && Object.values(value).every((member) => isWithin(member, depth - 1));
}
