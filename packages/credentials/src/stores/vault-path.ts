import { optionInvalid } from './http-failure.js';

/** A path as it goes into a URL. Throws `config_invalid` for an empty or odd segment: Vault decodes what was encoded, so `..` would climb. */
export function vaultPath(option: string, path: string): string {
  const segments = path.split('/');
  if (!segments.every((segment) => /^[A-Za-z0-9_][A-Za-z0-9._@:+-]*$/.test(segment))) {
    throw optionInvalid(option, `${JSON.stringify(path)} is not a path`, 'Write it without slashes at its ends, as in kv or team-a/kv.');
  }
  return segments.map(encodeURIComponent).join('/');
}
