import type { Transaction } from 'kysely';
import type { Schema } from '../database/schema.js';

/** What connects the processes. */
export type CarrierKind = 'sqlite' | 'postgres' | 'redis';

/** What one process tells the others. */
export interface BusMessage {
  /** The process that said it: nobody needs to hear itself. */
  readonly sender: string;
  readonly topic: string;
  readonly payload: string;
}

/** What a carrier tells the bus that it serves. */
export interface CarrierEvents {
  /** Another process said this. At least once, in no order. */
  message(message: BusMessage): void;
  /** From now on everything arrives; what was said before may not have. */
  listening(): void;
  /** From now on something may not arrive. `problem` is a code or a short sentence without values. */
  silent(problem: string): void;
  /** Something may not have arrived, and the carrier goes on. */
  missed(): void;
}

/** Takes messages to the other processes. */
export interface Carrier {
  readonly kind: CarrierKind;
  publish(message: BusMessage): Promise<void>;
  /** Publishes with the commit of the transaction. Answers what is left to do after it, which may fail without anything being lost. */
  publishIn(trx: Transaction<Schema>, message: BusMessage): Promise<(() => Promise<void>) | undefined>;
  close(): Promise<void>;
}

/** The message as text. Every character that a database or Redis could refuse is escaped. */
export function encodeMessage({ sender, topic, payload }: BusMessage): string {
  return JSON.stringify([sender, topic, payload]);
}

/** Reads what {@link encodeMessage} wrote; undefined for anything else, which a newer version may have written. */
export function decodeMessage(text: string): BusMessage | undefined {
  const parts = parseJson(text);
  if (!Array.isArray(parts) || parts.length !== 3) return undefined;
  const [sender, topic, payload] = parts as readonly unknown[];
  if (typeof sender !== 'string' || typeof topic !== 'string' || typeof payload !== 'string') return undefined;
  return { sender, topic, payload };
}

/** The JSON value in the text; undefined when it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** What may be said of an error in a health report: its code, or its kind. Messages of drivers quote addresses, and some quote passwords. */
export function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
