import { readFile, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ifPresent, placeFile, syncFolders } from '@sallyport/credentials';
import type { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import { onDisk } from '../stored-certificate.js';

/** What is remembered of attempts that brought no certificate, so that a restart does not ask again at once. */
export interface AttemptRecord {
  /** How many there have been since the last certificate, the one that is going on included. */
  readonly failures: number;
  /** When the next one may be made, milliseconds since the epoch. */
  readonly next_at: number;
  /** What went wrong; null when nobody wrote it down: the process ended during the attempt. */
  readonly detail: string | null;
}

const recordForm = z.object({ failures: z.int().min(1), next_at: z.number(), detail: z.string().nullable() });

const MINUTE = 60_000;
const LONGEST_WAIT_MS = 24 * 60 * MINUTE;
/** Public authorities let five validations of a host fail in an hour: five minutes, fifteen, forty-five … stay below that. */
const FIRST_WAIT_MS = 5 * MINUTE;
/** Where no authority was bothered, or nobody knows. */
const SHORT_FIRST_WAIT_MS = MINUTE;
const GROWTH = 3;
const JITTER = 0.2;
/** The longest wait that a server can ask for. */
const FARTHEST_MS = 8 * 24 * 60 * MINUTE;

/** The record in a file; null without one. One that cannot be read counts as a failure at the time of the file. */
export async function readAttempt(path: string): Promise<AttemptRecord | null> {
  const text = await onDisk(ifPresent(readFile(path, 'utf8')), `${path} cannot be read`);
  if (text === null) return null;
  const parsed = recordForm.safeParse(parsedJson(text));
  if (!parsed.success) {
    const written = await onDisk(ifPresent(stat(path)), `${path} cannot be read`);
    return { failures: 1, next_at: (written?.mtimeMs ?? Date.now()) + FIRST_WAIT_MS, detail: 'The record of the last attempt is damaged.' };
  }
  // The clock may have been wrong when it was written.
  return { ...parsed.data, next_at: Math.min(parsed.data.next_at, Date.now() + FARTHEST_MS) };
}

/** Writes down that an attempt begins, before it does: should this process die in it, the next one waits as after a failure. */
export async function beginAttempt(path: string, before: AttemptRecord | null): Promise<AttemptRecord> {
  const failures = (before?.failures ?? 0) + 1;
  const record = { failures, next_at: Date.now() + waitAfter(failures, SHORT_FIRST_WAIT_MS), detail: null };
  await place(path, record);
  return record;
}

/** Writes down how an attempt failed, and when the next one may be made: later after each, and not before the server allows it. */
export async function failAttempt(path: string, { failures }: AttemptRecord, error: SallyportError): Promise<AttemptRecord> {
  const first = error.code === 'acme_unreachable' ? SHORT_FIRST_WAIT_MS : FIRST_WAIT_MS;
  const asked = error.members.retry_after;
  const wait = Math.max(waitAfter(failures, first), typeof asked === 'number' ? asked * 1000 : 0);
  const record = { failures, next_at: Date.now() + wait, detail: error.message };
  await place(path, record);
  return record;
}

/** Forgets the attempts: there is a certificate. */
export async function endAttempt(path: string): Promise<void> {
  await onDisk(rm(path, { force: true }), `${path} cannot be removed`);
  await onDisk(syncFolders(dirname(path)), `${path} cannot be removed`);
}

function waitAfter(failures: number, first: number): number {
  const wait = Math.min(first * GROWTH ** Math.min(failures - 1, 20), LONGEST_WAIT_MS);
  return wait * (1 + Math.random() * JITTER);
}

async function place(path: string, record: AttemptRecord): Promise<void> {
  await onDisk(placeFile(path, `${JSON.stringify(record)}\n`, { replace: true }), `${path} cannot be written`);
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
