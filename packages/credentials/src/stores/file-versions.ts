import { createHash, randomBytes } from 'node:crypto';
import { link, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Secret } from '@sallyport/sdk';
import { syncFolders, writeNewFile } from '../durable-files.js';
import { parseObject } from '../json-object.js';
import { decodeText } from '../material.js';
import { errorCode } from '../unavailable.js';
import { asFileFailure, ensurePrivateFolder, fileFailure, isPrivateFolder, readPrivateFile } from './file-access.js';
import { decodeRecord, encodeRecord, freshRecord } from './token-record-json.js';
import type { StoredToken, TokenRecord } from './token-store.js';

/**
 * Where one record is kept: a file for people and other programs, and the folder of numbered versions behind it.
 *
 * **A record is replaced by making the next number.** A version is written to a temporary file, synced, and gets its name with link(2), which fails
 * when the name is taken. So of any number of processes that replace the same version exactly one wins, decided by the file system in one step:
 * there is no lock, hence none that a dead process could leave behind, that two could break at once, or that a process could believe to hold
 * after it was paused. The highest number is the record. The file is a copy of it, renamed into place afterwards.
 *
 * Whatever stands in the file without a number was put there by a person or another program, and is the record from then on. Which such
 * text a version was made from is remembered in it (`imported`, a hash), so that a crash before the copy does not make an old token new.
 */
export interface RecordPlace {
  readonly file: string;
  readonly versions: string;
}

interface Version {
  /** From 1 on; 0 for a text that nobody has replaced yet. */
  readonly number: number;
  readonly record: TokenRecord;
  /** Hash of the text that a person put into the file and that this or an earlier version was made from. */
  readonly imported: string | null;
  /** The tag of the version that this one replaced; null for the first one. */
  readonly replaced: string | null;
  /** Opaque, and different for all versions. */
  readonly tag: string;
}

const VERSION_NAME = /^([1-9]\d{0,14})\.json$/;
const TEMPORARY_NAME = /^\.[0-9a-f]{24}\.tmp$/;
/** How many versions stay behind the highest, for people, and to tell whose number it is when two meet. */
const VERSIONS_KEPT = 8;
/** Far longer than any write: a temporary file that old belongs to nobody any more. */
const TEMPORARY_LIFE_MS = 3_600_000;
const READ_ATTEMPTS = 20;

/** The record that is kept there; null when there is none. Errors: `token_store_failed`. */
export async function readVersion(place: RecordPlace): Promise<StoredToken | null> {
  try {
    const version = await currentVersion(place);
    return version === null ? null : { record: version.record, version: version.tag };
  } catch (error) {
    throw asFileFailure(place.file, error);
  }
}

/** As `TokenStore.replace`. */
export async function replaceVersion(place: RecordPlace, expected: string | null, record: TokenRecord): Promise<StoredToken | null> {
  try {
    const current = await currentVersion(place);
    if ((current?.tag ?? null) !== expected) return null;
    await ensurePrivateFolder(place.versions);
    const number = (current?.number ?? 0) + 1;
    const text = versionText(number, current, record);
    if (!(await claim(place.versions, number, text))) return null;
    await copyToFile(place, text);
    await prune(place.versions, number);
    return { record, version: tagOf(number, text) };
  } catch (error) {
    throw asFileFailure(place.versions, error);
  }
}

async function currentVersion(place: RecordPlace): Promise<Version | null> {
  let before: number | null = null;
  for (let attempt = 1; attempt <= READ_ATTEMPTS; attempt += 1) {
    const highest = (await versionNumbers(place.versions)).at(-1) ?? null;
    const kept = highest === null ? null : await readNumbered(place.versions, highest);
    // Replaced and pruned since the folder was listed.
    if (highest !== null && kept === null) continue;
    const inFile = await readFileVersion(place.file, kept);
    if (inFile === null) return kept;
    if (kept === null) return inFile;
    if (inFile.number === 0) return { ...inFile, number: kept.number, replaced: kept.tag };
    // The copy is ahead of the folder: either somebody replaced the version in between, or the folder was restored from an old backup.
    if (before === highest) return inFile;
    before = highest;
  }
  throw fileFailure(place.versions, 'keeps changing while it is read', 'Look for a process that writes there without end.');
}

async function versionNumbers(folder: string): Promise<number[]> {
  if (!(await isPrivateFolder(folder))) return [];
  const names = await readdir(folder);
  return names.flatMap((name) => VERSION_NAME.exec(name)?.slice(1).map(Number) ?? []).sort((a, b) => a - b);
}

async function readNumbered(folder: string, number: number): Promise<Version | null> {
  const path = join(folder, `${number}.json`);
  const bytes = await readPrivateFile(path);
  if (bytes === null) return null;
  const version = numberedVersion(decodeText(bytes) ?? '');
  if (version?.number === number) return version;
  throw fileFailure(path, 'is not a record of this version of Sallyport', 'Restore it, or take it away together with its folder.');
}

/** What the file says, unless it is an older copy, or the text that `kept` was made from. With the number 0 it is a text of somebody else. */
async function readFileVersion(path: string, kept: Version | null): Promise<Version | null> {
  const bytes = await readPrivateFile(path);
  if (bytes === null) return null;
  const text = decodeText(bytes);
  const numbered = text === null ? null : numberedVersion(text);
  if (numbered !== null) return kept === null || numbered.number > kept.number ? numbered : null;
  const imported = hashOf(bytes);
  // Empty is what a shell makes of a file before it writes.
  if (kept !== null && (imported === kept.imported || bytes.length === 0)) return null;
  const record = text === null ? null : foreignRecord(text);
  if (record === null) throw fileFailure(path, 'holds neither a token nor a record', 'Write the refresh token into it as one line.');
  return { number: 0, record, imported, replaced: null, tag: `${kept?.number ?? 0}.${imported}` };
}

/** A record without a number, or the one line of a raw token. */
function foreignRecord(text: string): TokenRecord | null {
  const record = decodeRecord(text);
  if (record !== null) return record;
  const token = text.replace(/[\r\n]+$/, '');
  return /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(token) && !token.startsWith('{') ? freshRecord(new Secret(token)) : null;
}

function versionText(number: number, current: Version | null, record: TokenRecord): string {
  const head = { number, replaced: current?.tag ?? null, imported: current?.imported ?? null };
  return `${JSON.stringify({ ...head, ...parseObject(encodeRecord(record)) })}\n`;
}

function numberedVersion(text: string): Version | null {
  const value = parseObject(text);
  const record = decodeRecord(text);
  if (record === null || typeof value?.number !== 'number' || !Number.isSafeInteger(value.number) || value.number < 1) return null;
  const imported = typeof value.imported === 'string' ? value.imported : null;
  const replaced = typeof value.replaced === 'string' ? value.replaced : null;
  return { number: value.number, record, imported, replaced, tag: tagOf(value.number, text) };
}

function tagOf(number: number, text: string): string {
  return `${number}.${hashOf(Buffer.from(text))}`;
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Gives the text the number, for good; false when another process was first. */
async function claim(folder: string, number: number, text: string): Promise<boolean> {
  const temporary = join(folder, temporaryName());
  const named = join(folder, `${number}.json`);
  try {
    await writeNewFile(temporary, text, 0o600);
    await link(temporary, named);
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
  if (!(await isAccepted(folder, number, tagOf(number, text)))) {
    await rm(named, { force: true });
    return false;
  }
  await syncFolders(folder, dirname(folder));
  return true;
}

/**
 * True when the number is the highest, or was replaced already by somebody who had read it. A process that slept since it looked may take a number
 * that was used and pruned long ago; nobody reads what it wrote there, since the highest counts.
 */
async function isAccepted(folder: string, number: number, tag: string): Promise<boolean> {
  if ((await versionNumbers(folder)).at(-1) === number) return true;
  const next = await readNumbered(folder, number + 1);
  return next?.replaced === tag;
}

/**
 * Renames a copy into the place of the file. Nothing depends on it, so a failure is passed over: the version counts, and the next one is copied as
 * well. What a person wrote in the meantime stays.
 */
async function copyToFile({ file, versions }: RecordPlace, text: string): Promise<void> {
  const temporary = join(versions, temporaryName());
  try {
    if ((await readFileVersion(file, numberedVersion(text))) !== null) return;
    await writeNewFile(temporary, text, 0o600);
    await rename(temporary, file);
    await syncFolders(dirname(file));
  } catch {
    await rm(temporary, { force: true }).catch(() => {});
  }
}

/** Removes what nobody reads any more. The record is safe already, so a failure is passed over: the next one tries again. */
async function prune(folder: string, number: number): Promise<void> {
  try {
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      const old = Number(VERSION_NAME.exec(name)?.[1] ?? Number.POSITIVE_INFINITY) <= number - VERSIONS_KEPT;
      const abandoned = TEMPORARY_NAME.test(name) && Date.now() - (await stat(path)).mtimeMs > TEMPORARY_LIFE_MS;
      if (old || abandoned) await rm(path, { force: true });
    }
  } catch {
    // A file that another process removed first, or a folder that cannot be read at the moment.
  }
}

function temporaryName(): string {
  return `.${randomBytes(12).toString('hex')}.tmp`;
}
