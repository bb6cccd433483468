import { didYouMean, nearestWords } from '@sallyport/credentials';
import type { z } from 'zod';
import { locate, plainNull, type Span, type Tree } from './document-tree.js';
import { homesOf, knownKeys } from './known-keys.js';
import type { JsonSchema } from './written-schema.js';

/** What is wrong, at a place of the text, under a key. */
export interface Complaint {
  readonly span: Span;
  readonly key: string;
  readonly message: string;
}

type Issue = z.core.$ZodIssue;
type Flat = { readonly issue: Issue; readonly path: Path };
type Path = readonly PropertyKey[];

/** What the schema found wrong with a document, one complaint for each mistake a person made, in no order. `written` is what may be written in it. */
export function complaintsOf(issues: readonly Issue[], root: Tree, written: JsonSchema): Complaint[] {
  const flat = issues.flatMap((issue) => flatten(issue, [], root, written));
  const complaints: Complaint[] = [];
  // A required key is not missing when it is there, misspelled; nor does its map lack one of its alternatives.
  const meant = new Set<string>();
  const misspelledIn = new Set<string>();
  for (const { issue, path } of flat) {
    if (issue.code !== 'unrecognized_keys') continue;
    for (const key of issue.keys) {
      const near = nearestWords(key, knownKeys(written, root, path));
      for (const one of near) meant.add(JSON.stringify([...path, one]));
      if (near.length > 0) misspelledIn.add(JSON.stringify(path));
      const { anchor, keySpan, shown } = locate(root, [...path, key]);
      complaints.push({ span: keySpan ?? anchor, key: shown, message: messageForUnknown(key, near, root, path, written) });
    }
  }
  for (const { issue, path } of flat) {
    const at = JSON.stringify(path);
    if (issue.code === 'unrecognized_keys' || meant.has(at) || (issue.code === 'custom' && misspelledIn.has(at))) continue;
    const complaint = complaintOf(issue, path, root);
    // One complaint about a value is enough: the next one is often about the same mistake.
    if (!complaints.some(({ key, span }) => key === complaint.key && span.start === complaint.span.start)) complaints.push(complaint);
  }
  return complaints;
}

/** Unions are resolved to the form that was meant; paths become absolute. */
function flatten(issue: Issue, prefix: Path, root: Tree, written: JsonSchema): Flat[] {
  const path = [...prefix, ...issue.path];
  if (issue.code !== 'invalid_union') return [{ issue, path }];
  if (issue.errors.length === 0) return flattenDiscriminator(issue, path, root, written);
  // The forms of every union here differ in their type, so the one whose type fits is the one that was meant.
  const fitting = issue.errors.find((errors) => !errors.some((error) => error.path.length === 0 && /^invalid_(type|value)$/.test(error.code)));
  return fitting === undefined ? [{ issue, path }] : fitting.flatMap((error) => flatten(error, path, root, written));
}

/** Without its discriminator a map has no form whose keys could be checked: what no form knows is reported all the same. */
function flattenDiscriminator(issue: Issue, path: Path, root: Tree, written: JsonSchema): Flat[] {
  const parent = path.slice(0, -1);
  const { node } = locate(root, parent);
  const known = knownKeys(written, root, parent);
  const keys = node?.kind === 'map' ? [...node.entries.keys()].filter((key) => !known.includes(key)) : [];
  const unknown: Issue = { code: 'unrecognized_keys', keys, path: [], message: '' };
  return [{ issue, path }, ...(keys.length === 0 ? [] : [{ issue: unknown, path: parent }])];
}

function complaintOf(issue: Issue, path: Path, root: Tree): Complaint {
  const { node, anchor, keySpan, shown } = locate(root, path);
  const message = messageOf(issue);
  if (issue.code === 'invalid_key') return { span: keySpan ?? anchor, key: shown, message: issue.issues[0]?.message ?? message };
  if (node === null && issue.code !== 'custom') return { span: anchor, key: shown, message: `is required: ${message}` };
  if (node?.kind === 'scalar' && node.value === null) return { span: anchor, key: shown, message: `is empty: ${message}` };
  if (issue.code === 'custom' && issue.params?.quotes === true && node?.kind === 'scalar') {
    if (node.filled) return { span: anchor, key: shown, message: `is not ${String(issue.params.what)} once its variables are filled in` };
    const { column } = issue.params;
    if (typeof column === 'number' && node.textStart !== null) {
      const start = node.textStart + column - 1;
      return { span: { start, end: start + 1 }, key: shown, message: message.replace(/^column [0-9]+: /, '') };
    }
  }
  return { span: anchor, key: shown, message };
}

function messageOf(issue: Issue): string {
  if (issue.code === 'invalid_union' && issue.discriminator !== undefined) {
    const options = 'options' in issue && Array.isArray(issue.options) ? issue.options.join(', ') : 'a known word';
    return `expected one of ${options}`;
  }
  if (issue.code !== 'invalid_type' || !issue.message.startsWith('Invalid input')) return issue.message;
  if (issue.expected === 'object' || issue.expected === 'record') return 'expected a map';
  return issue.expected === 'array' ? 'expected a list' : `expected ${issue.expected}`;
}

function messageForUnknown(key: string, near: readonly string[], root: Tree, path: Path, written: JsonSchema): string {
  if (near.length > 0) return `unknown key${didYouMean(near)}`;
  // Known to another form of this map: then what this form knows says more than where the key belongs.
  const elsewhere = knownKeys(written, plainNull(root.span), path).includes(key) ? [] : homesOf(written, key);
  if (elsewhere.length > 0) return `unknown key here; it belongs to ${elsewhere.join(' or ')}`;
  const known = knownKeys(written, root, path);
  return known.length === 0 ? 'unknown key' : `unknown key; known here: ${known.join(', ')}`;
}
