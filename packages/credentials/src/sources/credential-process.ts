import { Secret } from '@sallyport/sdk';
import { parseObject } from '../json-object.js';
import type { Material } from '../material.js';
import { unavailable } from '../unavailable.js';

const TIMESTAMP = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:?\d\d)$/;
const HINT = 'Make the program print what the AWS documentation of credential_process asks for, or a plain secret.';

/**
 * The output of an AWS `credential_process` program: a JSON object with `Version` 1, `AccessKeyId`, `SecretAccessKey` and, if wanted,
 * `SessionToken` and `Expiration` (ISO 8601 with a zone). The main secret is the secret access key. Null when the text has not that
 * shape; an object that has it but is wrong in a part is a `credential_unavailable` error that names the part, never its value.
 */
export function parseCredentialProcess(text: string): Material | null {
  const object = parseObject(text);
  if (object === null || !('Version' in object) || !('AccessKeyId' in object || 'SecretAccessKey' in object)) return null;
  if (object.Version !== 1) throw unavailable('The credential_process output has a Version other than 1.', HINT);

  const secret = part(object, 'SecretAccessKey');
  const fields = new Map([
    ['AccessKeyId', part(object, 'AccessKeyId')],
    ['SecretAccessKey', secret],
  ]);
  if (given(object, 'SessionToken')) fields.set('SessionToken', part(object, 'SessionToken'));
  return { secret, fields, expiresAt: given(object, 'Expiration') ? timestamp(object.Expiration) : null };
}

/** Programs write an optional part that they do not have as null or leave it out. */
function given(object: Readonly<Record<string, unknown>>, name: string): boolean {
  return object[name] !== undefined && object[name] !== null;
}

function part(object: Readonly<Record<string, unknown>>, name: string): Secret {
  const value = object[name];
  if (typeof value === 'string' && value.trim() !== '') return new Secret(value);
  throw unavailable(`The credential_process output has no ${name}, or one that is not a text.`, HINT);
}

function timestamp(value: unknown): number {
  const time = typeof value === 'string' && TIMESTAMP.test(value) ? Date.parse(value) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  throw unavailable('The credential_process output has an Expiration that is not an ISO 8601 time with a zone.', HINT);
}
