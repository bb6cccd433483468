import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { watchConfig } from '@sallyport/gateway';
import { asSallyportError, SallyportError, type Secret } from '@sallyport/sdk';
import type { CertificateKeeper, KeeperEvents } from '../certificate-keeper.js';
import { readTlsFile, type ServedCertificate } from '../served-certificate.js';
import { loadCertificate, onDisk, openFolder, storeCertificate } from '../stored-certificate.js';
import { ensureAccountKey, isAccountUnknown, openAccount } from './acme-account.js';
import { readHosts } from './acme-hosts.js';
import { asAcmeError, withAcmeCalls } from './acme-library.js';
import { orderCertificate } from './acme-order.js';
import { beginAttempt, endAttempt, failAttempt, readAttempt } from './attempt-record.js';
import { openChallengeAnswers } from './challenge-answers.js';
import { lockFolder } from './folder-lock.js';

/** How certificates come from an authority that speaks ACME. */
export interface AcmeConfig {
  /** The directory of the ACME server, https; that of Let's Encrypt when left out. */
  readonly directory_url?: string | undefined;
  /** Where the authority writes to when something is wrong. */
  readonly email: string;
  /** That the terms of service of the authority were read and accepted. */
  readonly accept_tos: true;
  /** The names that certificates are asked for, one for each. */
  readonly hosts: readonly string[];
  /** Where account and certificates are kept. Several processes may share it. */
  readonly dir: string;
  /** How long before its end a certificate is renewed, milliseconds; 30 days when left out, and never more than two thirds of its life. */
  readonly renew_before?: number | undefined;
  /** The address of the listener that is open while an authority checks a host; all addresses when left out. */
  readonly http_host?: string | undefined;
  /**
   * Its port, 80 when left out; authorities ask port 80. Null when the server calls
   * `challengeHandler` on a listener of its own there, which has to be open already: the authority asks at once.
   */
  readonly http_port?: number | null | undefined;
  /** Binds the account to one that the authority knows already. */
  readonly eab?: { readonly kid: string; readonly hmac_key: Secret } | undefined;
  /** A PEM file with the authorities of the ACME server itself, instead of those of the system. */
  readonly ca?: string | undefined;
}

const LETS_ENCRYPT = 'https://acme-v02.api.letsencrypt.org/directory';
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const RENEW_BEFORE = 30 * DAY;
/** Renewals of many processes and hosts are spread over this part of `renew_before`. */
const RENEWAL_JITTER = 0.1;
/** The longest time between two looks: timers do not run while a machine sleeps. */
const LONGEST_LOOK_MS = 60 * MINUTE;
/** Whatever could not be done now is not tried again before. */
const SHORTEST_LOOK_MS = MINUTE;
/** While another process is at it. */
const LOCKED_LOOK_MS = MINUTE;
const MAIL = /^[^\s@,?]{1,64}@[^\s@,?]{1,255}$/;

/** A host, its certificate and when something is to be done about it. */
interface Site {
  readonly host: string;
  readonly paths: { readonly certificate: string; readonly attempt: string };
  /** Between 0 and 1, drawn once. */
  readonly jitter: number;
  current: ServedCertificate | null;
  /** What was said last about its file, which is looked at again and again. */
  told: string | null;
}

/**
 * Keeps one certificate for each host: served from the folder at once, ordered in the background where there is none, renewed before it ends, and
 * left in use until another one is there. Throws `server_tls_invalid`, `tls_files_invalid` or `certificate_files_failed`; an authority that cannot be
 * reached or refuses is told to `onTrouble` and asked again later.
 */
export async function keepAcmeCertificates(config: AcmeConfig, events: KeeperEvents): Promise<CertificateKeeper> {
  const { hosts, directory } = checked(config);
  const { onTrouble, onChange } = events;
  const ended = new AbortController();
  const signal = AbortSignal.any([events.signal, ended.signal]);
  // What one authority gave is nothing to another: trying the staging server first leaves no trace.
  const dir = join(config.dir, `${directory.hostname}-${createHash('sha256').update(directory.href).digest('hex').slice(0, 8)}`);
  await openFolder(config.dir);
  await openFolder(dir);
  const accountPath = join(dir, 'account.json');
  await ensureAccountKey(accountPath);
  const authorities = config.ca === undefined ? null : await readTlsFile(config.ca);
  const { http_port: port = 80, http_host: host } = config;
  const answers = await openChallengeAnswers(join(dir, 'challenges'), port === null ? null : { host, port });

  const sites: Site[] = [];
  for (const name of hosts) {
    const paths = { certificate: join(dir, `${name}.pem`), attempt: join(dir, `${name}.attempt.json`) };
    sites.push({ host: name, paths, jitter: Math.random(), current: null, told: null });
  }
  const byHost = new Map(sites.map((site) => [site.host, site]));
  let adopting = Promise.resolve();

  async function loadOrTell(site: Site): Promise<ServedCertificate | null> {
    try {
      const found = await loadCertificate(site.paths.certificate);
      site.told = null;
      return found;
    } catch (error) {
      // A new one is ordered where there is none in use; the damaged one is not served.
      const trouble = asSallyportError(error);
      if (trouble.message !== site.told) onTrouble(trouble);
      site.told = trouble.message;
      return null;
    }
  }

  /** Takes into use what is on disk, which another process may have renewed. One after the other: an older file that is read later must not win. */
  function adopt(site: Site): Promise<void> {
    const done = adopting.then(() => adoptNow(site));
    adopting = done.catch(() => {});
    return done;
  }

  async function adoptNow(site: Site): Promise<void> {
    const found = await loadOrTell(site);
    if (found === null || found.leaf.fingerprint256 === site.current?.leaf.fingerprint256) return;
    site.current = found;
    if (!signal.aborted) onChange();
  }

  function renewAt({ current, jitter }: Site): number {
    if (current === null) return 0;
    const before = Math.min(config.renew_before ?? RENEW_BEFORE, ((current.notAfter - current.notBefore) * 2) / 3);
    return current.notAfter - before * (1 - RENEWAL_JITTER * jitter);
  }

  /** When the host is to be asked for, milliseconds since the epoch. */
  async function dueAt(site: Site): Promise<number> {
    return Math.max(renewAt(site), (await readAttempt(site.paths.attempt))?.next_at ?? 0);
  }

  async function obtain(site: Site): Promise<void> {
    const attempt = await beginAttempt(site.paths.attempt, await readAttempt(site.paths.attempt));
    try {
      const pair = await withAccount((client) => orderCertificate({ client, host: site.host, answers, signal }));
      await storeCertificate(site.paths.certificate, pair, { replace: true });
      await endAttempt(site.paths.attempt);
      await adopt(site);
    } catch (error) {
      signal.throwIfAborted();
      const failure = asAcmeError(error);
      const { next_at } = await failAttempt(site.paths.attempt, attempt, failure);
      throw new SallyportError(failure.code, {
        detail: `There is no new certificate for ${site.host}; the next attempt is made after ${iso(next_at)}. ${failure.message}`,
        hint: failure.hint,
        members: failure.members,
        cause: error,
      });
    }
  }

  async function withAccount<T>(work: (client: Awaited<ReturnType<typeof openAccount>>) => Promise<T>): Promise<T> {
    const options = { directoryUrl: directory.href, email: config.email, eab: config.eab };
    try {
      return await work(await openAccount(accountPath, options, { forget: false }));
    } catch (error) {
      if (!isAccountUnknown(error)) throw error;
      return work(await openAccount(accountPath, options, { forget: true }));
    }
  }

  /** Does what is to be done now, and says how long nothing will be. */
  async function look(): Promise<number> {
    for (const site of sites) await adopt(site);
    const due = await dueSites();
    if (due.length > 0) {
      const lock = await onDisk(lockFolder(dir, signal), `${dir} cannot be locked`);
      if (lock === null) return LOCKED_LOOK_MS * (1 + Math.random());
      try {
        await answers.during(() => callServer(due, () => lock.isHeld()));
      } finally {
        await lock.release();
      }
    }
    const times = await Promise.all(sites.map(dueAt));
    return Math.max(SHORTEST_LOOK_MS, Math.min(...times.map((time) => time - Date.now()), LONGEST_LOOK_MS));
  }

  async function dueSites(): Promise<Site[]> {
    const due: Site[] = [];
    for (const site of sites) if ((await dueAt(site)) <= Date.now()) due.push(site);
    return due;
  }

  async function callServer(due: readonly Site[], isHeld: () => Promise<boolean>): Promise<void> {
    const { Agent } = await import('undici');
    const dispatcher = new Agent({ connect: authorities === null ? {} : { ca: authorities } });
    try {
      await withAcmeCalls({ signal, dispatcher }, async () => {
        for (const site of due) {
          if (signal.aborted) return;
          // The process that had the lock before may have been faster.
          await adopt(site);
          if ((await dueAt(site)) > Date.now() || !(await isHeld())) continue;
          await obtain(site).catch(tell);
        }
      });
    } finally {
      await dispatcher.destroy();
    }
  }

  function tell(error: unknown): void {
    if (!signal.aborted) onTrouble(asSallyportError(error));
  }

  async function run(): Promise<void> {
    await tellOfWaiting();
    while (!signal.aborted) {
      const wait = await look().catch((error: unknown) => {
        tell(error);
        return SHORTEST_LOOK_MS;
      });
      // Whoever waits is ended by the signal.
      await pause(wait, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  /** A start after a failure looks idle otherwise. */
  async function tellOfWaiting(): Promise<void> {
    for (const { host: name, paths } of sites) {
      const attempt = await readAttempt(paths.attempt).catch(() => null);
      if (attempt === null || attempt.next_at <= Date.now()) continue;
      const detail = `No certificate for ${name} is asked for before ${iso(attempt.next_at)}, after ${attempt.failures} attempts without one.`;
      const hint = `Remove ${paths.attempt} to have it asked for at the next start.`;
      tell(new SallyportError('acme_waiting', { detail: `${detail} ${attempt.detail ?? 'The last one was interrupted.'}`, hint }));
    }
  }

  for (const site of sites) await adopt(site);
  const [first, ...rest] = sites.map(({ paths }) => paths.certificate);
  const unwatch = watchConfig(first, rest, () => {
    for (const site of sites) adopt(site).catch(tell);
  });
  const running = run().catch(tell);

  return {
    find: (servername) => (servername === '' ? sites[0] : byHost.get(servername))?.current ?? null,
    challengeHandler: answers.handler,
    async close() {
      ended.abort();
      unwatch();
      await running;
    },
  };
}

function checked(config: AcmeConfig): { readonly hosts: readonly [string, ...string[]]; readonly directory: URL } {
  if (config.accept_tos !== true) throw invalid('The terms of service of the authority have to be accepted: `accept_tos: true`.');
  if (!MAIL.test(config.email)) throw invalid(`The mail address ${JSON.stringify(config.email)} is none.`);
  if (config.renew_before !== undefined && !(config.renew_before > 0)) throw invalid('`renew_before` has to be longer than nothing.');
  const text = config.directory_url ?? LETS_ENCRYPT;
  const directory = URL.canParse(text) ? new URL(text) : null;
  if (directory?.protocol !== 'https:') throw invalid(`The address of the ACME server, ${JSON.stringify(text)}, is no https address.`);
  if (directory.username !== '' || directory.password !== '') throw invalid('The address of the ACME server holds a password.');
  return { hosts: readHosts(config.hosts), directory };
}

function invalid(detail: string): SallyportError {
  return new SallyportError('server_tls_invalid', { detail });
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
