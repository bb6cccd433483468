import { afterAll, beforeAll, beforeEach, describe, test } from 'vitest';
import { startWorld, type World } from './world.js';

/** The ways to pass the gateway. `more` is what only this client does. */
export type Way = 'intercepted' | 'plain' | 'tunnel';

/** One kind of client program. */
export interface Client {
  readonly name: string;
  /** Null when it is not installed here: its tests skip. */
  readonly version: string | null;
  /** Where it is to be had, for the message that says that it is missing. */
  readonly source: string;
  /** How it is told about the gateway and its authority, as Markdown: for the page. */
  readonly setup: string;
}

/** One line of the page: a case of a client, and how it went. */
export interface Row {
  readonly client: Client;
  readonly way: Way;
  readonly title: string;
  result: 'not run' | 'passed' | 'failed' | 'skipped';
}

/** A test of one case. */
export type Case = (title: string, run: (world: World) => Promise<void>) => void;

const TIMEOUT = 120_000;

/** Everything that was registered, in order. */
export const rows: Row[] = [];

let world: World | null = null;

/** Starts one world for the tests of this file, which share it one after the other. */
export function useWorld(): void {
  beforeAll(async () => {
    world = await startWorld();
  });
  beforeEach(() => world?.forget());
  afterAll(() => world?.stop());
}

/** Registers the tests of one client. When it is missing here they skip, and a line says so. */
export function describeClient(client: Client, register: (cases: Readonly<Record<Way, Case>>) => void): void {
  const missing = client.version === null;
  if (missing) console.warn(`skipped: ${client.name} is not installed (get it from ${client.source})`);
  const caseOf = (way: Way): Case => {
    return (title, run) => {
      const row: Row = { client, way, title, result: missing ? 'skipped' : 'not run' };
      rows.push(row);
      test.skipIf(missing)(`${way}: ${title}`, { timeout: TIMEOUT }, async () => {
        row.result = 'failed';
        await run(world as World);
        row.result = 'passed';
      });
    };
  };
  describe(client.name, () => register({ intercepted: caseOf('intercepted'), plain: caseOf('plain'), tunnel: caseOf('tunnel') }));
}
