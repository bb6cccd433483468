import { accessSync, constants, readFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { isChaperoneConfig, readChaperoneConfig } from './chaperone/chaperone-config.js';
import { readDocument } from './document.js';
import { locate, plainValue, type Tree } from './document-tree.js';
import { doubtsAboutRouting } from './doubtful.js';
import { fileShape } from './file-shape.js';
import { type Complaint, complaintsOf } from './issues.js';
import { holdsSecret, isShowable } from './known-keys.js';
import { ConfigError, type Problem, type ProblemMaker, problemMaker } from './problems.js';
import type { GatewayConfig, ValueContext } from './schema.js';
import type { Doubt, Section } from './section.js';
import type { JsonSchema } from './written-schema.js';

export { ConfigError, formatProblems } from './problems.js';

interface LoadedFile {
  /** Absolute path of the file. */
  readonly path: string;
  /** Absolute paths of the files, this one first, whose change should trigger a reload. */
  readonly files: readonly string[];
  /** What is allowed but doubtful. */
  readonly warnings: readonly Problem[];
}

/** A valid configuration of the gateway, resolved and ready to use. */
export interface LoadedConfig extends LoadedFile {
  readonly gateway: GatewayConfig;
}

/** A valid configuration with the sections that are there, at least one of them. */
export interface LoadedSections<Control> extends LoadedFile {
  readonly gateway: GatewayConfig | null;
  readonly control: Control | null;
}

/** The environment that variables are looked up in. */
type Environment = Readonly<Record<string, string | undefined>>;

/** No configuration of a person is as large as this: 1 MiB. */
const LARGEST_FILE = 1_048_576;
/** A value in a file of its own is a token or a password. */
const LARGEST_VALUE = 65_536;
const MOST_PROBLEMS = 100;

interface Surroundings {
  /** That of the process when left out. */
  readonly env?: Environment;
}

/** Asks for the section of the control plane as well. */
interface WithControl<Control> extends Surroundings {
  readonly control: Section<Control>;
}

interface Wanted extends Surroundings {
  readonly control?: Section<unknown>;
}

/**
 * Reads, checks and resolves a configuration file. Throws a `ConfigError`: `config_not_found` when the file cannot be read,
 * `config_invalid` with all problems otherwise. Without `control` the gateway's section has to be there, and what stands under `control` is not looked
 * into: whoever uses only the gateway need not load, nor be able to satisfy, what describes the control plane.
 */
export async function loadConfig<Control>(path: string, options: WithControl<Control>): Promise<LoadedSections<Control>>;
export async function loadConfig(path: string, options?: Surroundings): Promise<LoadedConfig>;
export async function loadConfig(path: string, options: Wanted = {}): Promise<LoadedConfig | LoadedSections<unknown>> {
  const absolute = resolve(path);
  let content: { bytes: Buffer; mode: number };
  try {
    content = await readBounded(absolute);
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined;
    throw new ConfigError('config_not_found', absolute, [], reason);
  }
  if (content.bytes.length > LARGEST_FILE) throw wholeFile(absolute, 'the file is larger than 1 MiB');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(content.bytes);
  } catch {
    throw wholeFile(absolute, 'the file is not UTF-8');
  }
  // Windows has no such bits: there the mode says 0666 for every file.
  const exposed = process.platform !== 'win32' && (content.mode & 0o004) !== 0;
  return parse(text, absolute, exposed, options);
}

/** As `loadConfig`, for the text of a file: `path` says where it stands, and relative paths start at its directory. Warns of no secrets in it. */
export function parseConfig<Control>(text: string, options: WithControl<Control> & { path: string }): LoadedSections<Control>;
export function parseConfig(text: string, options: Surroundings & { path: string }): LoadedConfig;
export function parseConfig(text: string, { path, ...options }: Wanted & { path: string }): LoadedConfig | LoadedSections<unknown> {
  const absolute = resolve(path);
  if (Buffer.byteLength(text) > LARGEST_FILE) throw wholeFile(absolute, 'the file is larger than 1 MiB');
  return parse(text, absolute, false, options);
}

/** `exposed`: everybody on this machine can read the file. */
function parse(text: string, path: string, exposed: boolean, { env = process.env, control }: Wanted): LoadedConfig | LoadedSections<unknown> {
  const shape = fileShape(control ?? null);
  const lookup = (name: string): string | undefined => (Object.hasOwn(env, name) ? env[name] : undefined);
  const { tree, findings, hidden } = readDocument(text, lookup, (at) => isShowable(shape.written, at));
  const files = new Set([path]);
  const context = valueContext(path, env, lookup, files);
  if (tree !== null && isChaperoneConfig(tree)) {
    const { gateway, warnings } = parseChaperone(text, path, env, exposed, context);
    return loaded({ path, files: [...files], warnings }, { gateway }, control);
  }
  const maker = problemMaker(path, text, hidden);
  const complaints: Complaint[] = findings.map(({ span, path: at, message }) => ({
    span,
    key: tree === null ? '' : locate(tree, at).shown,
    message,
  }));
  if (tree === null) {
    const least = control === undefined ? 'at least gateway.listeners' : 'gateway, control or both';
    if (complaints.length === 0) complaints.push({ span: { start: 0, end: 1 }, key: '', message: `the file is empty; it needs ${least}` });
    throw invalid(path, complaints, maker);
  }
  const result = shape.resolve(context, plainValue(tree));
  if (!result.success) {
    // What a value should have been is no use to know while a variable in it is missing.
    const unresolved = new Set(complaints.map(({ key }) => key));
    complaints.push(...complaintsOf(result.error.issues, tree, shape.written).filter(({ key }) => !unresolved.has(key)));
  }
  if (!result.success || complaints.length > 0) throw invalid(path, complaints, maker);
  const sections = result.data;
  const doubts = [
    ...(sections.gateway === undefined ? [] : below('gateway', doubtsAboutRouting(sections.gateway))),
    ...(sections.control === undefined || control === undefined ? [] : below('control', control.doubts(sections.control))),
    ...(exposed ? literalSecrets(tree, shape.written) : []),
  ];
  return loaded({ path, files: [...files], warnings: warningsAt(doubts, tree, maker) }, sections, control);
}

interface Sections {
  readonly gateway?: GatewayConfig | undefined;
  readonly control?: unknown;
}

function loaded(file: LoadedFile, { gateway, control }: Sections, wanted: Wanted['control']): LoadedConfig | LoadedSections<unknown> {
  // Where nobody asked for the other section, the schema requires the gateway's.
  if (wanted === undefined) return { ...file, gateway: gateway as GatewayConfig };
  return { ...file, gateway: gateway ?? null, control: control ?? null };
}

/** The configuration of a Chaperone, with its variables. What it comes to is checked like any other. */
function parseChaperone(text: string, path: string, env: Environment, exposed: boolean, context: ValueContext) {
  const chaperone = readChaperoneConfig(text, { path, env, directory: process.cwd(), exposed });
  const result = fileShape(null).resolve(context, chaperone.config);
  if (!result.success) throw chaperone.rejection(result.error.issues);
  return { gateway: result.data.gateway, warnings: chaperone.warnings };
}

function below(section: string, doubts: readonly Doubt[]): Doubt[] {
  return doubts.map((doubt) => ({ ...doubt, path: [section, ...doubt.path] }));
}

function valueContext(path: string, env: Environment, variable: ValueContext['variable'], files: Set<string>): ValueContext {
  return {
    variable,
    absolute: (written) => (/^~($|\/)/.test(written) ? join(env.HOME || homedir(), written.slice(1)) : resolve(dirname(path), written)),
    read(file) {
      // Also when it cannot be read: that it appears is a change.
      files.add(file);
      const bytes = readFileSync(file);
      if (bytes.length > LARGEST_VALUE) throw Object.assign(new Error('too large'), { code: 'larger than 64 KiB' });
      return bytes.toString('utf8').replace(/\r?\n$/, '');
    },
    requireReadable(file) {
      files.add(file);
      accessSync(file, constants.R_OK);
    },
  };
}

/** The first bytes of a file up to one more than is allowed, whatever kind of file it is. */
async function readBounded(path: string): Promise<{ bytes: Buffer; mode: number }> {
  const handle: FileHandle = await open(path, 'r');
  try {
    const { mode } = await handle.stat();
    const buffer = Buffer.alloc(LARGEST_FILE + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return { bytes: buffer.subarray(0, length), mode };
  } finally {
    await handle.close();
  }
}

/** The doubts as problems, in the order of the file. */
function warningsAt(doubts: readonly Doubt[], tree: Tree, maker: ProblemMaker): Problem[] {
  const places = doubts.map(({ path, message }) => ({ message, ...locate(tree, path) }));
  places.sort((left, right) => left.anchor.start - right.anchor.start);
  return places.map(({ anchor, shown, message }) => maker.at(anchor, shown, message));
}

const EXPOSED = 'a secret stands in a file that everybody on this machine can read; chmod 600 the file, or move the secret out of it';

/** The secrets that stand in the file itself, wholly or in part. */
function literalSecrets(tree: Tree, written: JsonSchema, path: readonly PropertyKey[] = [], root: Tree = tree): Doubt[] {
  if (tree.kind === 'map') return Array.from(tree.entries, ([key, { node }]) => literalSecrets(node, written, [...path, key], root)).flat();
  if (tree.kind === 'list') return tree.items.flatMap((item, index) => literalSecrets(item, written, [...path, index], root));
  return tree.literal && holdsSecret(written, root, path) ? [{ path, message: EXPOSED }] : [];
}

function invalid(path: string, complaints: readonly Complaint[], maker: ProblemMaker): ConfigError {
  const ordered = [...complaints].sort((left, right) => left.span.start - right.span.start).slice(0, MOST_PROBLEMS);
  return new ConfigError(
    'config_invalid',
    path,
    ordered.map(({ span, key, message }) => maker.at(span, key, message)),
  );
}

function wholeFile(path: string, message: string): ConfigError {
  return new ConfigError('config_invalid', path, [{ file: path, line: 1, column: 1, key: '', message, excerpt: null }]);
}
