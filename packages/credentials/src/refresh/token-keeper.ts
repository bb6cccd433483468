import { SallyportError } from '@sallyport/sdk';
import type { StoredToken, TokenRecord, TokenStore } from '../stores/token-store.js';
import { errorCode } from '../unavailable.js';
import { bounded, NEVER, pause } from './bounded.js';
import { type Rotation, withRotation } from './rotation.js';

/** A record for a change of it; null when there is nothing to change. */
type Change = (record: TokenRecord) => TokenRecord | null;

/** A record as the keeper sees it. */
interface Reading extends StoredToken {
  /** What is in the record and not in the store yet. */
  readonly unsaved: readonly Rotation[];
}

/** A store together with the rotations that it could not take yet. */
export interface TokenKeeper {
  /** The record, with rotations in it that are still to be saved. */
  read(key: string, signal: AbortSignal): Promise<Reading>;
  /** As `TokenStore.replace`. The record was made from that of the reading, so that what was unsaved in it is saved now. */
  replace(key: string, reading: Reading, record: TokenRecord, signal: AbortSignal): Promise<StoredToken | null>;
  /** Changes the record, whoever else changes it at the same time, and answers it as it is then. */
  update(key: string, change: Change, signal: AbortSignal): Promise<TokenRecord>;
  /** Saves a rotation. Never rejects: what cannot be saved now is held in memory and saved as soon as the store takes it. */
  rotate(key: string, rotation: Rotation): Promise<void>;
  /** Tries once more to save what is outstanding, and tries no further. Never rejects. */
  close(): Promise<void>;
}

export interface TokenKeeperOptions {
  readonly store: TokenStore;
  /** Told of every failed attempt to save a token that the server has issued. */
  readonly onSaveError: (key: string, error: SallyportError) => void;
  /** From 0 up to 1. */
  readonly random: () => number;
}

interface Outstanding {
  rotations: readonly Rotation[];
  attempts: number;
  timer: NodeJS.Timeout | null;
}

const STORE_TIMEOUT_MS = 8_000;
const ROTATIONS_LIMIT = 8;
const UPDATE_ATTEMPTS = 20;
const BETWEEN_ATTEMPTS_MS = 20;
const RETRY_FIRST_MS = 1_000;
const RETRY_LAST_MS = 60_000;

/** A keeper for one store. No call of the store takes longer than 8 s. Its timers keep no process alive. */
export function tokenKeeper({ store, onSaveError, random }: TokenKeeperOptions): TokenKeeper {
  const outstanding = new Map<string, Outstanding>();
  let closed = false;

  async function ask<T>(work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    try {
      return await bounded(work, STORE_TIMEOUT_MS, signal, () => failure(`did not answer within ${STORE_TIMEOUT_MS / 1000} s`));
    } catch (error) {
      if (error instanceof SallyportError || (signal.aborted && error === signal.reason)) throw error;
      throw failure(`failed unexpectedly: ${errorCode(error)}`);
    }
  }

  function failure(what: string): SallyportError {
    return new SallyportError('token_store_failed', { detail: `The token store (${store.description}) ${what}.` });
  }

  async function read(key: string, signal: AbortSignal): Promise<Reading> {
    const stored = await ask((inner) => store.read(key, inner), signal);
    const unsaved = outstanding.get(key)?.rotations ?? [];
    const record = unsaved.reduce((merged, rotation) => withRotation(merged, rotation) ?? merged, stored.record);
    // Nothing to write: the store has them already.
    if (record === stored.record) forget(key, unsaved);
    return { version: stored.version, record, unsaved: record === stored.record ? [] : unsaved };
  }

  async function replace(key: string, { version, unsaved }: Reading, record: TokenRecord, signal: AbortSignal): Promise<StoredToken | null> {
    const stored = await ask((inner) => store.replace(key, version, record, inner), signal);
    if (stored !== null) forget(key, unsaved);
    return stored;
  }

  async function update(key: string, change: Change, signal: AbortSignal): Promise<TokenRecord> {
    for (let attempt = 1; attempt <= UPDATE_ATTEMPTS; attempt += 1) {
      const reading = await read(key, signal);
      const wanted = change(reading.record) ?? reading.record;
      if (wanted === reading.record && reading.unsaved.length === 0) return wanted;
      const stored = await replace(key, reading, wanted, signal);
      if (stored !== null) return stored.record;
      await pause(BETWEEN_ATTEMPTS_MS * attempt * random(), signal);
    }
    throw failure('keeps changing while it is written');
  }

  async function rotate(key: string, rotation: Rotation): Promise<void> {
    const entry = outstanding.get(key) ?? { rotations: [], attempts: 0, timer: null };
    entry.rotations = [...entry.rotations, rotation].slice(-ROTATIONS_LIMIT);
    outstanding.set(key, entry);
    await save(key);
  }

  async function save(key: string): Promise<void> {
    const entry = outstanding.get(key);
    if (entry === undefined) return;
    try {
      await update(key, () => null, NEVER);
    } catch (error) {
      scheduleRetry(key, entry);
      onSaveError(key, error instanceof SallyportError ? error : failure(errorCode(error)));
    }
  }

  function scheduleRetry(key: string, entry: Outstanding): void {
    if (closed || entry.timer !== null) return;
    const delay = Math.min(RETRY_FIRST_MS * 2 ** entry.attempts, RETRY_LAST_MS) * (0.75 + random() / 4);
    entry.attempts += 1;
    entry.timer = setTimeout(() => {
      entry.timer = null;
      void save(key);
    }, delay).unref();
  }

  function forget(key: string, saved: readonly Rotation[]): void {
    const entry = outstanding.get(key);
    if (entry === undefined || saved.length === 0) return;
    entry.rotations = entry.rotations.filter((rotation) => !saved.includes(rotation));
    if (entry.rotations.length > 0) return;
    if (entry.timer !== null) clearTimeout(entry.timer);
    outstanding.delete(key);
  }

  async function close(): Promise<void> {
    closed = true;
    for (const { timer } of outstanding.values()) if (timer !== null) clearTimeout(timer);
    await Promise.all([...outstanding.keys()].map(save));
  }

  return { read, replace, update, rotate, close };
}
