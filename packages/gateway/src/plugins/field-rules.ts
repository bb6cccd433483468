import { SallyportError } from '@sallyport/sdk';
import { lowerToken } from '../wire/characters.js';
import { fieldName, hopByHopFields } from '../wire/field-names.js';
import { isFieldValue } from '../wire/head-writer.js';

const LONGEST_NAME = 256;
const LONGEST_VALUE = 16_384;
const LONGEST_SHOWN = 64;

/** Fields that end at this hop or that the gateway writes itself: a plugin neither sees nor sets them. Lower-case. */
const gatewayFields: ReadonlySet<string> = new Set(
  [...hopByHopFields].flatMap((member, id) => (member === 1 ? [fieldName(id)] : [])).concat('expect'),
);

/** True for a field that belongs to the gateway: framing, routing of the connection, hop-by-hop. `name` in lower case. */
export function isGatewayField(name: string): boolean {
  return gatewayFields.has(name);
}

/**
 * Throws `plugin_result_invalid` unless `name` is a field name (RFC 9110 §5.1) that a plugin may set, at most 256 characters long. `where` is the
 * beginning of the sentence.
 */
export function checkFieldName(where: string, name: string): void {
  if (!isToken(name)) throw invalid(`${where} a header field whose name holds a character that a name cannot carry`, 'header');
  if (name.length > LONGEST_NAME) throw invalid(`${where} a header field whose name is longer than ${LONGEST_NAME} characters`, 'header');
  if (isGatewayField(name.toLowerCase())) throw invalid(`${where} the header field ${name}, which only the gateway writes`, 'header');
}

/**
 * Throws `plugin_result_invalid` unless `value` can be written as it is (RFC 9110 §5.5): Latin-1 without control characters, no blank at either
 * end, at most 16,384 characters. The value is never repeated.
 */
export function checkFieldValue(where: string, name: string, value: unknown): asserts value is string {
  const of = `${where} the header field ${shown(name)}`;
  if (typeof value !== 'string') throw invalid(`${of} with ${kindOf(value)} instead of a text`, 'header');
  if (!isFieldValue(value)) throw invalid(`${of} with a character that a header cannot carry`, 'header');
  if (value !== value.trim()) throw invalid(`${of} with a blank at the beginning or the end`, 'header');
  if (value.length > LONGEST_VALUE) throw invalid(`${of} with more than ${LONGEST_VALUE} characters`, 'header');
}

/** The answer of a plugin cannot be used. `member` names the part of it that is at fault. */
export function invalid(detail: string, member: string): SallyportError {
  return new SallyportError('plugin_result_invalid', { detail, members: { member } });
}

/** What something is, in words and without its content. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Date) return 'a Date';
  switch (typeof value) {
    case 'string':
      return value === '' ? 'an empty text' : 'a text';
    case 'number':
      return Number.isFinite(value) ? 'a number' : String(value);
    case 'boolean':
      return 'a boolean';
    case 'function':
      return 'a function';
    case 'object':
      return 'an object';
    default:
      return `a ${typeof value}`;
  }
}

/** A name that was written by somebody else, fit for a sentence. */
export function shown(name: string): string {
  return JSON.stringify(name.length > LONGEST_SHOWN ? `${name.slice(0, LONGEST_SHOWN)}…` : name);
}

function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff || lowerToken[code] === 0) return false;
  }
  return text !== '';
}
