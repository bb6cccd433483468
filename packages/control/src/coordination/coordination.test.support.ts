import { setTimeout as delay } from 'node:timers/promises';
import { afterEach } from 'vitest';
import type { Database, DatabaseOptions } from '../database/open-database.js';
import type { Dialect } from '../database/schema.js';
import type { TestDatabases } from '../database/testing/databases.test.support.js';
import { type Bus, type BusOptions, createBus } from './bus.js';

/** Waits until it is so; fails with what was seen last when it never is. */
export async function until(what: () => unknown, seen: () => unknown = what): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await what())) {
    if (performance.now() > deadline) throw new Error(`It did not happen: ${JSON.stringify(await seen())}`);
    await delay(10);
  }
}

/** What a listener has heard. */
export interface Heard {
  readonly messages: string[];
  missed: number;
}

/** Subscribes and writes down what comes. */
export function hearing(bus: Bus, topic: string): Heard {
  const heard: Heard = { messages: [], missed: 0 };
  bus.subscribe(topic, {
    message: (payload) => void heard.messages.push(payload),
    missed: () => {
      heard.missed += 1;
    },
  });
  return heard;
}

/** A bus on a database of its own connections, as another process has it. */
export interface OpenBus {
  readonly bus: Bus;
  readonly database: Database;
}

const closing: (() => Promise<void>)[] = [];

/** What was opened last is closed first. */
export function closeAfterTest(close: () => Promise<void>): void {
  closing.unshift(close);
}

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** Opens a bus that listens. Closed after the test. */
export async function openBus(databases: TestDatabases, connection: DatabaseOptions, more: Partial<BusOptions> = {}): Promise<OpenBus> {
  const database = databases.opened(connection);
  const bus = createBus({ database, connection, heartbeatMs: 300, ...more });
  closeAfterTest(() => bus.close());
  await bus.whenListening(AbortSignal.timeout(20_000));
  return { bus, database };
}

/** Tests of what only one of the two databases does. */
export function onlyOn(databases: TestDatabases, dialect: Dialect, tests: () => void): void {
  if (databases.dialect === dialect) tests();
}
