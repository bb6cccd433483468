import type { World } from './world.js';

/** The ways to pass the gateway, in the order in which the page lists them. */
export const ways = ['intercepted', 'plain', 'tunnel'] as const;

/** One way to pass the gateway. */
export type Way = (typeof ways)[number];

/** One kind of client program. */
export interface Client {
  readonly name: string;
  /** Null when it is not installed here: its cases are skipped. */
  readonly version: string | null;
  /** Where it is to be had, for the message that says that it is missing. */
  readonly source: string;
  /** How it is told about the gateway and its authority, as Markdown: for the page. */
  readonly setup: string;
}

/** One thing that a client does; it rejects when that does not work. */
interface Case {
  readonly way: Way;
  readonly title: string;
  run(world: World): Promise<void>;
}

/** A client with all that it does. */
export interface Suite {
  readonly client: Client;
  readonly cases: readonly Case[];
}

/** Adds a case. */
export type AddCase = (title: string, run: Case['run']) => void;

/** The suite of a client, of the cases that `add` adds. */
export function clientSuite(client: Client, add: (cases: Readonly<Record<Way, AddCase>>) => void): Suite {
  const cases: Case[] = [];
  const adder = (way: Way): AddCase => {
    return (title, run) => {
      cases.push({ way, title, run });
    };
  };
  add({ intercepted: adder('intercepted'), plain: adder('plain'), tunnel: adder('tunnel') });
  return { client, cases };
}
