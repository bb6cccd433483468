import { lstat, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseProviderConfig, parsePublicKey } from '@sallyport/control';
import { didYouMean, errorCode, nearestWords } from '@sallyport/credentials';
import { SallyportError } from '@sallyport/sdk';
import { type Document, isMap, isScalar, LineCounter, type Node, parseAllDocuments } from 'yaml';
import type { z } from 'zod';
import { isSystemKey } from '../../control/user-labels.js';
import { type Manifest, manifestJsonSchema, manifestSchema, nameOf, OWNER_LABEL } from './manifest.js';

type Path = readonly PropertyKey[];
type Wrong = (path: Path, message: string) => void;

const LARGEST_FILE = 4 * 1024 * 1024;
const MOST_DOCUMENTS = 10_000;
const MOST_PROBLEMS = 50;

/**
 * The documents in these files, and in the `.yaml`, `.yml` and `.json` files of these directories and of those below them; `-` is standard input. Errors:
 * `manifest_invalid` with file, line and column of every place that is wrong, `value_file_invalid` when something cannot be read.
 */
export async function readManifests(sources: readonly string[]): Promise<readonly Manifest[]> {
  const problems: string[] = [];
  const manifests: Manifest[] = [];
  for (const source of sources) {
    for (const file of source === '-' ? ['-'] : await filesOf(source)) {
      manifests.push(...(await parseManifests(await contentOf(file), file === '-' ? 'standard input' : file, problems)));
      if (manifests.length > MOST_DOCUMENTS) problems.push(`  there are more than ${MOST_DOCUMENTS} documents`);
      if (problems.length > MOST_PROBLEMS) break;
    }
  }
  const first = new Map<string, Manifest>();
  for (const manifest of manifests) {
    const id = `${manifest.kind} ${nameOf(manifest)}`;
    const other = first.get(id);
    if (other === undefined) first.set(id, manifest);
    else problems.push(`  ${manifest.place.file}:${manifest.place.line}  ${id} is at ${other.place.file}:${other.place.line} already`);
  }
  if (problems.length === 0) return manifests;
  const shown = problems.slice(0, MOST_PROBLEMS);
  const detail = `The documents to apply are not valid.\n${shown.join('\n')}${problems.length > shown.length ? '\n  … and more' : ''}`;
  throw new SallyportError('manifest_invalid', { detail });
}

/** The documents of one text. What is wrong is added to the problems, and is not among the documents. */
export async function parseManifests(content: string, file: string, problems: string[]): Promise<Manifest[]> {
  const lines = new LineCounter();
  const documents = parseAllDocuments(content, { lineCounter: lines, merge: false });
  const manifests: Manifest[] = [];
  for (const document of documents as readonly Document[]) {
    const found: { readonly offset: number; readonly text: string }[] = [];
    const say = (offset: number, path: Path, message: string): void => {
      found.push({ offset, text: [path.map(String).join('.'), message].filter((part) => part !== '').join('  ') });
    };
    for (const { pos, message } of document.errors) say(pos[0], [], message.split(/ at line |\n/)[0] ?? message);
    const wrong: Wrong = (path, message) => say(offsetOf(document, path), path, message);
    // An empty document stands before the first `---`, and where everything is commented out.
    if (document.errors.length === 0 && document.contents !== null && !isEmpty(document.contents)) {
      const read = manifestSchema.safeParse(toPlain(document, wrong));
      if (!read.success) complain(read.error.issues, document, wrong);
      else if (await checked(read.data, wrong)) manifests.push({ ...read.data, place: { file, line: lines.linePos(offsetOf(document, [])).line } });
    }
    for (const { offset, text } of found.sort((one, other) => one.offset - other.offset)) {
      const { line, col } = lines.linePos(offset);
      problems.push(`  ${file}:${line}:${col}  ${text}`);
    }
  }
  return manifests;
}

function toPlain(document: Document, wrong: Wrong): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    wrong([], error instanceof Error ? error.message : 'cannot be read');
    return undefined;
  }
}

/** What the schema cannot say. */
async function checked(manifest: z.output<typeof manifestSchema>, wrong: Wrong): Promise<boolean> {
  let fine = true;
  const no: Wrong = (path, message) => {
    fine = false;
    wrong(path, message);
  };
  for (const kind of ['labels', 'annotations'] as const) {
    for (const key of Object.keys(manifest.metadata[kind] ?? {})) {
      if (isSystemKey(key)) no(['metadata', kind, key], 'is for the system alone');
      if (key === OWNER_LABEL) no(['metadata', kind, key], 'is written by --set');
    }
  }
  const tryOut = async (path: Path, read: () => unknown): Promise<void> => {
    try {
      await read();
    } catch (error) {
      if (!(error instanceof SallyportError)) throw error;
      no(path, error.message);
    }
  };
  if (manifest.kind === 'Key') await tryOut(['spec', 'key_data'], () => parseProviderConfig(manifest.spec.key_data));
  if (manifest.kind === 'Actor') {
    for (const [index, key] of (manifest.spec.public_keys ?? []).entries()) {
      await tryOut(['spec', 'public_keys', index, 'public_key'], () => parsePublicKey(key.public_key));
    }
  }
  return fine;
}

function complain(issues: readonly z.core.$ZodIssue[], document: Document, wrong: Wrong): void {
  const kind: unknown = isMap(document.contents) ? document.get('kind') : undefined;
  // What is there, misspelled, is not missing.
  const meant = new Set<string>();
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') continue;
    for (const key of issue.keys) {
      const near = nearestWords(key, knownKeys(kind, issue.path));
      for (const one of near) meant.add([...issue.path, one].join('.'));
      wrong([...issue.path, key], `unknown key${didYouMean(near)}`);
    }
  }
  for (const issue of issues) {
    if (issue.code === 'unrecognized_keys' || meant.has(issue.path.join('.'))) continue;
    if (issue.code === 'invalid_union' && issue.path[0] === 'kind') {
      const near = typeof kind === 'string' ? didYouMean(nearestWords(kind, kinds)) : '';
      wrong(['kind'], `is one of ${kinds.join(', ')}${near}`);
    } else wrong(issue.path, isMap(document.contents) && !document.hasIn(issue.path) ? 'is missing' : issue.message);
  }
}

interface Schema {
  readonly oneOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema & { readonly const?: string }>>;
  readonly items?: Schema;
}

const { oneOf: forms = [] } = manifestJsonSchema() as Schema;
const kinds = forms.flatMap(({ properties }) => properties?.kind?.const ?? []);

/** The keys that may stand at a place of a document of this kind. */
function knownKeys(kind: unknown, path: Path): readonly string[] {
  let schema = forms.find(({ properties }) => properties?.kind?.const === kind);
  for (const step of path) schema = typeof step === 'number' ? schema?.items : schema?.properties?.[String(step)];
  return Object.keys(schema?.properties ?? {});
}

/** Where a path leads to: the key of an entry, otherwise the nearest thing around it that is there. */
function offsetOf(document: Document, path: Path): number {
  const parent = document.getIn(path.slice(0, -1), true);
  if (path.length > 0 && isMap(parent)) {
    const pair = parent.items.find(({ key }) => isScalar(key) && key.value === path.at(-1));
    const at = (pair?.key as Node | undefined)?.range?.[0];
    if (at !== undefined) return at;
  }
  const node = (path.length === 0 ? document.contents : document.getIn(path, true)) as Node | null | undefined;
  if (node?.range) return node.range[0];
  return path.length === 0 ? 0 : offsetOf(document, path.slice(0, -1));
}

function isEmpty(node: Node): boolean {
  return isScalar(node) && node.value === null;
}

async function filesOf(source: string): Promise<readonly string[]> {
  try {
    if (!(await stat(source)).isDirectory()) return [source];
    const entries = await readdir(source, { withFileTypes: true });
    const visible = entries.filter(({ name }) => !name.startsWith('.')).sort((one, other) => (one.name < other.name ? -1 : 1));
    const found: string[] = [];
    for (const { name } of visible) {
      const path = join(source, name);
      const { isDirectory, isFile } = await kindOf(path);
      if (isDirectory) found.push(...(await filesOf(path)));
      else if (isFile && /\.(?:ya?ml|json)$/.test(name)) found.push(path);
    }
    return found;
  } catch (error) {
    throw unreadable(source, error);
  }
}

/** A link to a file is one; a link to a directory may lead round in circles, so it is not followed. */
async function kindOf(path: string): Promise<{ readonly isDirectory: boolean; readonly isFile: boolean }> {
  return { isDirectory: (await lstat(path)).isDirectory(), isFile: (await stat(path)).isFile() };
}

async function contentOf(file: string): Promise<string> {
  if (file === '-') return text(process.stdin);
  try {
    const { size } = await stat(file);
    if (size > LARGEST_FILE) throw new SallyportError('value_file_invalid', { detail: `${file} is larger than 4 MiB.` });
    return await readFile(file, 'utf8');
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(path: string, error: unknown): SallyportError {
  if (error instanceof SallyportError) return error;
  return new SallyportError('value_file_invalid', { detail: `${path} cannot be read (${errorCode(error)}).`, cause: error });
}
