import { SallyportError } from '@sallyport/sdk';

/** Labels or annotations of one resource, by key. */
export type Labels = Readonly<Record<string, string>>;

/** The most user labels that one resource may carry. */
const LABEL_LIMIT = 64;
/** The most labels of the system that one resource may carry: its own and those of everything above it. */
const SYSTEM_LABEL_LIMIT = 512;
/** The most UTF-8 bytes that the keys and values of one resource's annotations may take together. */
const ANNOTATION_BYTES_LIMIT = 32 * 1024;

/** The prefix of the labels that the system writes, and what else no user label may begin with. */
export const SYSTEM_PREFIX = 'apxy';
const RESERVED_PREFIXES: readonly string[] = [SYSTEM_PREFIX, 'sallyport'];

// Lengths are checked before any of these runs, so that backtracking is bounded.
const NAME = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const SYSTEM_VALUE = /^[A-Za-z0-9._-]*$/;

/** Why this text is not a label key as Kubernetes has them (`[prefix/]name`), or null when it is one. */
export function labelKeyFlaw(key: string): string | null {
  const slash = key.indexOf('/');
  const flaw = slash === -1 ? null : subdomainFlaw(key.slice(0, slash));
  return flaw ?? nameFlaw(key.slice(slash + 1));
}

/** Why this text is not a key of the system (`apxy/SEGMENT/…/NAME`), or null when it is one. */
export function systemKeyFlaw(key: string): string | null {
  const [prefix, ...path] = key.split('/');
  const name = path.pop();
  if (prefix !== SYSTEM_PREFIX || name === undefined || path.length === 0) return `is not of the form ${SYSTEM_PREFIX}/SEGMENT/NAME`;
  for (const segment of path) {
    const flaw = segment === '-' ? null : subdomainFlaw(segment);
    if (flaw !== null) return flaw;
  }
  return nameFlaw(name);
}

/** True for a key that only the system may write. */
export function isReservedKey(key: string): boolean {
  const slash = key.indexOf('/');
  return slash !== -1 && RESERVED_PREFIXES.includes(key.slice(0, slash).toLowerCase());
}

/** Why this text is not a label value (at most 63 characters, empty allowed), or null when it is one. */
export function labelValueFlaw(value: string): string | null {
  if (value === '') return null;
  if (value.length > 63) return 'is longer than 63 characters';
  return NAME.test(value) ? null : 'may hold letters, digits, `-`, `_` and `.`, and begins and ends with a letter or a digit';
}

/** Why this text is not a value of a system label (at most 512 characters, as many as a path may have), or null when it is one. */
export function systemValueFlaw(value: string): string | null {
  if (value.length > 512) return 'is longer than 512 characters';
  return SYSTEM_VALUE.test(value) ? null : 'may hold letters, digits, `-`, `_` and `.`';
}

/** The labels that a user sends, checked: grammar, reserved prefixes, at most 64 of them. Throws `label_invalid`. */
export function checkUserLabels(labels: Labels): Labels {
  const entries = Object.entries(labels);
  if (entries.length > LABEL_LIMIT) throw labelInvalid(`There are ${entries.length} labels; a resource carries at most ${LABEL_LIMIT}.`);
  for (const [key, value] of entries) {
    checkUserKey('label', key);
    const flaw = labelValueFlaw(value);
    if (flaw !== null) throw labelInvalid(`The value of the label ${shown(key)} ${flaw}.`);
  }
  return labels;
}

/** The annotations that a user sends, checked: keys as those of labels, any value, at most 32 KiB in all. Throws `label_invalid`. */
export function checkAnnotations(annotations: Labels): Labels {
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations)) {
    checkUserKey('annotation', key);
    // PostgreSQL cannot store U+0000, and a lone surrogate is no text: both would come back as something else.
    if (value.includes('\0') || !value.isWellFormed()) throw labelInvalid(`The value of the annotation ${shown(key)} is not text.`);
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes > ANNOTATION_BYTES_LIMIT) throw labelInvalid(`The annotations take ${bytes} bytes; at most ${ANNOTATION_BYTES_LIMIT} are allowed.`);
  return annotations;
}

/** The labels of the system, checked: grammar and number. Throws `label_invalid`. */
export function checkSystemLabels(labels: Labels): Labels {
  const entries = Object.entries(labels);
  if (entries.length > SYSTEM_LABEL_LIMIT) {
    throw labelInvalid(`The labels of everything above this resource are ${entries.length}; at most ${SYSTEM_LABEL_LIMIT} are carried.`);
  }
  for (const [key, value] of entries) {
    const flaw = systemKeyFlaw(key) ?? systemValueFlaw(value);
    if (flaw !== null) throw labelInvalid(`The system label ${shown(key)} or its value ${flaw}.`);
  }
  return labels;
}

/** The refusal of a label or annotation. */
export function labelInvalid(detail: string): SallyportError {
  return new SallyportError('label_invalid', { detail });
}

function checkUserKey(kind: 'label' | 'annotation', key: string): void {
  if (isReservedKey(key)) throw labelInvalid(`The ${kind} key ${shown(key)} has a prefix that is reserved for the system.`);
  const flaw = labelKeyFlaw(key);
  if (flaw !== null) throw labelInvalid(`The ${kind} key ${shown(key)} is not valid: it ${flaw}.`);
}

function nameFlaw(name: string): string | null {
  if (name === '') return 'has no name';
  if (name.length > 63) return 'has a name longer than 63 characters';
  return NAME.test(name) ? null : 'has a name that is not made of letters, digits, `-`, `_` and `.` with a letter or a digit at both ends';
}

function subdomainFlaw(text: string): string | null {
  if (text.length > 253) return 'has a prefix longer than 253 characters';
  return SUBDOMAIN.test(text) ? null : 'has a prefix that is not a DNS subdomain in lower case';
}

/** A key as an error shows it: short, and without what a terminal would obey. */
function shown(key: string): string {
  return JSON.stringify(key.length > 80 ? `${key.slice(0, 80)}…` : key);
}
