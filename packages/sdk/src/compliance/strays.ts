import { turn } from './outcome.js';

const EVENTS = ['unhandledRejection', 'uncaughtException'] as const;

type Listener = (...args: unknown[]) => void;

let watchers = 0;
let displaced: readonly { readonly event: string; readonly listener: Listener }[] = [];
const strays: unknown[] = [];

/**
 * Runs what calls a plugin, and collects into `found` the errors that the plugin let go of in the meantime: rejections that nobody handles, and
 * throws out of timers. They would end a process, so the test framework, which also listens, does not get to see them while this runs.
 */
export async function watchingForStrays<T>(run: () => Promise<T>, found: unknown[]): Promise<T> {
  if (watchers++ === 0) displaceListeners();
  try {
    return await run();
  } finally {
    // Timers of the same length run in the order in which they were made, so those of the plugin without a delay run before this one; and Node
    // reports a rejection when all that was due has run.
    await new Promise((resolve) => setTimeout(resolve, 0));
    await turn();
    found.push(...strays.splice(0));
    if (--watchers === 0) restoreListeners();
  }
}

function keep(error: unknown): void {
  strays.push(error);
}

function displaceListeners(): void {
  displaced = EVENTS.flatMap((event) =>
    process.listeners(event as 'unhandledRejection').map((listener) => ({ event, listener: listener as Listener })),
  );
  for (const event of EVENTS) {
    process.removeAllListeners(event);
    process.on(event, keep);
  }
}

function restoreListeners(): void {
  for (const event of EVENTS) process.off(event, keep);
  for (const { event, listener } of displaced) process.on(event, listener);
  displaced = [];
}
