import type { Client } from '@sallyport/client';
import type { ClientOptions } from '../../control/client-settings.js';
import type { Column, OutputFormat } from '../../control/output.js';
import type { Service } from '../../control/services.js';

/** What a command about a resource has to work with. */
export interface Work<Options> {
  readonly client: Client;
  /** The arguments in the order in which they are declared; those that may be left out are missing then. */
  readonly args: readonly string[];
  readonly options: Options;
  /** Resolves when it may be done: with `--yes`, or when somebody at the terminal says so. Rejects with `confirmation_required` otherwise. */
  readonly confirm: (question: string) => Promise<void>;
  /** Shows how far something is, on standard error. The last one stays. */
  readonly progress: (text: string) => void;
}

/** What a command has to show, and its exit code when that is not 0. */
export type Shown =
  /** A list; as a table its columns. */
  | {
      readonly kind: 'list';
      readonly items: readonly object[];
      readonly columns: readonly Column<never>[];
      readonly empty: string;
      readonly more?: boolean;
    }
  /** One thing, whole. */
  | { readonly kind: 'one'; readonly value: object }
  /** Lines for people, and the whole for programs. */
  | { readonly kind: 'text'; readonly text: string; readonly value: object; readonly code?: number }
  /** A sentence on standard error, for something of which nothing is left; programs need nothing but the exit code. */
  | { readonly kind: 'done'; readonly sentence: string };

/** An option of a command: as commander writes it, with what reads its value. */
export interface Flag {
  readonly flags: string;
  readonly description: string;
  readonly choices?: readonly string[];
  /** What it is when left out, and how people write that. */
  readonly default?: unknown;
  readonly defaultText?: string;
  readonly required?: true;
  readonly parse?: (text: string, before: never) => unknown;
}

/** One command below a resource: `sallyport RESOURCE NAME`. */
export interface ResourceCommand<Options = never> {
  readonly name: string;
  readonly summary: string;
  /** Whole sentences; the summary when left out. */
  readonly description?: string;
  /** Name in angle brackets when it is required, in square ones when not, and what it is. */
  readonly args?: readonly (readonly [name: string, description: string])[];
  readonly flags?: readonly Flag[];
  /** It destroys something: it asks before, unless `--yes` is given. */
  readonly confirmed?: true;
  /** Only this service has it. The option to choose one is left out. */
  readonly adminOnly?: true;
  /** For which services besides the one that is asked the request has to be signed. */
  readonly alsoFor?: (options: Options) => readonly Service[];
  readonly examples: readonly string[];
  readonly run: (work: Work<Options>) => Promise<Shown>;
}

/** A resource with its commands: `sallyport NAME`. */
export interface ResourceGroup {
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  readonly commands: readonly ResourceCommand[];
}

/** A command; the types of its options are those that its flags make of the command line. */
export function resourceCommand<Options extends object = object>(command: ResourceCommand<Options>): ResourceCommand {
  return command;
}

/** What every command about a resource has besides its own options. */
export interface CommonOptions extends ClientOptions {
  readonly service?: 'api' | 'admin-api';
  readonly output: OutputFormat;
  readonly yes?: true;
}
