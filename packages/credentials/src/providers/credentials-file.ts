import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Credential, type CredentialProvider, SallyportError, type Secret } from '@sallyport/sdk';
import { fileSource } from '../sources/file.js';
import { errorCode } from '../unavailable.js';
import { type CredentialsFile, readEntries, type VendorCredential } from './credentials-file-entries.js';
import { JsonProblem } from './json-document.js';

/** Which file, and who is told about it. None of the texts holds a secret. */
export interface CredentialsFileOptions {
  readonly path: string;
  /** Told once of what is allowed and probably not meant, at the start or after a change. Must not throw. */
  readonly onWarning?: (message: string) => void;
  /** Told when a new version is in force: what was handed out before may be old now. Must not throw. */
  readonly onChange?: () => void;
  /** Told of a new version that cannot be used; the one before stays in force. Must not throw. */
  readonly onReject?: (error: SallyportError) => void;
}

/** A provider that watches a file; `close` ends the watch. */
export interface CredentialsFileProvider extends CredentialProvider {
  close(): void;
}

const SHOWN_PROBLEMS = 20;
const HINT = 'Correct the places that are listed; docs/credentials-file.md shows a whole file.';

/**
 * Static credentials by vendor from a JSON file: `{"vendors": {ID: {"auth_type": "bearer" | "api_key" | "basic", "token": …}}}`. Resolves once
 * every entry has been found good; rejects with `config_invalid`, which lists everything that is wrong with its JSON path, or `config_not_found`. The
 * file is read again when it changes. `getCredentials` throws `vendor_not_found` for a vendor that is not in it.
 */
export async function openCredentialsFile(options: CredentialsFileOptions): Promise<CredentialsFileProvider> {
  const { onWarning = () => {}, onChange = () => {}, onReject = () => {} } = options;
  const path = resolve(options.path);
  const source = fileSource({ path });
  const ended = new AbortController();
  let told: readonly string[] = [];

  async function load(): Promise<{ readonly text: Secret; readonly file: CredentialsFile }> {
    const { secret } = await source.fetch(ended.signal);
    const file = read(path, secret);
    const warnings = [...(await permissionWarnings(path)), ...file.warnings];
    // The watch reports without need as well: what was said is not said again.
    for (const warning of warnings) if (!told.includes(warning)) onWarning(warning);
    told = warnings;
    return { text: secret, file };
  }

  let current = await load().catch((error: unknown) => {
    throw asRefusal(path, error);
  });
  let loading = false;
  let changedMeanwhile = false;

  async function reload(): Promise<void> {
    changedMeanwhile = loading;
    if (loading) return;
    loading = true;
    try {
      const next = await load();
      const changed = next.text.reveal() !== current.text.reveal();
      current = next;
      if (changed && !ended.signal.aborted) onChange();
    } catch (error) {
      if (!ended.signal.aborted) onReject(asRefusal(path, error));
    } finally {
      loading = false;
      if (changedMeanwhile && !ended.signal.aborted) void reload();
    }
  }

  const unwatch = source.watch?.(() => void reload()) ?? ((): void => {});
  return {
    getCredentials: ({ vendorId }) => credentialOf(path, vendorId, current.file.vendors),
    close() {
      unwatch();
      ended.abort();
    },
  };
}

function credentialOf(path: string, vendor: string, vendors: ReadonlyMap<string, VendorCredential>): Credential {
  const found = vendors.get(vendor);
  if (found !== undefined) return { headers: { [found.header]: found.value.reveal() }, expiresAt: Date.now() + found.ttlMs };
  const detail = vendor === '' ? 'The call names no vendor.' : `${path} has no vendor ${JSON.stringify(vendor.slice(0, 64))}.`;
  throw new SallyportError('vendor_not_found', { detail });
}

function read(path: string, text: Secret): CredentialsFile {
  const file = readEntries(text.reveal());
  if (file.problems.length === 0) return file;
  const shown = file.problems.slice(0, SHOWN_PROBLEMS);
  const more = file.problems.length - shown.length;
  const lines = more === 0 ? shown : [...shown, `and ${more} more`];
  throw new SallyportError('config_invalid', {
    detail: [`${path} cannot be used:`, ...lines].join('\n  '),
    hint: HINT,
    members: { problems: shown },
  });
}

async function permissionWarnings(path: string): Promise<string[]> {
  // Windows has no such modes.
  const mode = process.platform === 'win32' ? 0 : (await stat(path)).mode & 0o777;
  if ((mode & 0o077) === 0) return [];
  return [`${path} can be used by others (mode ${mode.toString(8).padStart(4, '0')}): run chmod 600 on it`];
}

function asRefusal(path: string, error: unknown): SallyportError {
  if (error instanceof JsonProblem) {
    const detail = `${path}:${error.line}:${error.column}: ${error.message}.`;
    return new SallyportError('config_invalid', { detail, hint: HINT });
  }
  if (!(error instanceof SallyportError)) return new SallyportError('config_not_found', { detail: `${path} cannot be read (${errorCode(error)}).` });
  if (error.code === 'config_invalid') return error;
  return new SallyportError('config_not_found', { detail: error.message, hint: error.hint });
}
