import { createHash } from 'node:crypto';
import { didYouMean, nearestWords } from '@sallyport/credentials';
import { claims, compileCertificatePattern } from '../tls/mutual/certificate-pattern.js';
import { checkRouting, type RoutingSections } from './routing-checks.js';
import type { CallerConfig } from './schema/callers.js';
import { isLoopback, overlap } from './schema/listen-address.js';

type Path = readonly PropertyKey[];

interface Listener {
  readonly host: string;
  readonly port: number;
  readonly tls?: { readonly client_ca?: readonly string[] | undefined } | undefined;
  readonly trusted_proxies?: readonly string[] | undefined;
}

interface Sections extends RoutingSections {
  readonly listeners: { readonly [Kind in 'forward' | 'sidecar' | 'ops']?: Listener | undefined };
  readonly callers: Readonly<Record<string, CallerConfig>>;
}

interface Context {
  readonly issues: readonly { readonly code?: string | undefined; readonly path?: Path | undefined }[];
  addIssue(issue: { code: 'custom'; path: PropertyKey[]; message: string }): void;
}

/**
 * What no section can see by itself: credential names that callers use, tokens used twice, listeners on one address, listeners beyond
 * loopback that nobody needs a token for, and what the routing names. It runs even when a section has problems of its own, and then looks only at the sound parts.
 */
export function checkAcrossSections(sections: Sections, context: Context): void {
  const broken = context.issues.filter((issue) => issue.code !== 'unrecognized_keys').map((issue) => issue.path ?? []);
  if (broken.some((path) => path.length === 0)) return;
  // Sound: neither the place itself, nor what it is in, nor (with `deep`) anything in it has a problem.
  const sound = (path: Path, deep: boolean): boolean => !broken.some((at) => startsWith(path, at) || (deep && startsWith(at, path)));

  if (sound(['listeners'], false)) {
    const listeners = Object.entries(sections.listeners).filter(([kind]) => sound(['listeners', kind], true)) as [string, Listener][];
    checkListeners(listeners, context);
    if (sound(['callers'], true)) checkExposure(listeners, Object.values(sections.callers), context);
    if (sound(['listeners'], true) && sections.listeners.forward === undefined && sections.listeners.sidecar === undefined) {
      context.addIssue({ code: 'custom', path: ['listeners'], message: 'expected at least one of forward and sidecar' });
    }
  }
  if (sound(['callers'], false)) {
    const callers = Object.entries(sections.callers).filter(([name]) => sound(['callers', name], true));
    checkCallers(callers, context);
    checkCertificates(callers, context);
    if (sound(['credentials'], false)) checkCredentialNames(callers, Object.keys(sections.credentials), context);
  }
  checkRouting(sections, sound, context);
}

function checkListeners(listeners: readonly [string, Listener][], context: Context): void {
  listeners.forEach(([kind, listener], index) => {
    const other = listeners
      .slice(0, index)
      .find(([, earlier]) => earlier.port !== 0 && earlier.port === listener.port && overlap(earlier.host, listener.host));
    if (other !== undefined)
      context.addIssue({ code: 'custom', path: ['listeners', kind, 'port'], message: `the listener ${other[0]} has this address already` });
  });
}

function checkExposure(listeners: readonly [string, Listener][], callers: readonly CallerConfig[], context: Context): void {
  const byCertificate = callers.some((caller) => 'certificate' in caller);
  const byTokenAlone = callers.some((caller) => 'token' in caller && !('certificate' in caller));
  for (const [kind, { host, tls, trusted_proxies }] of listeners) {
    if (tls?.client_ca !== undefined || trusted_proxies !== undefined) {
      if (byCertificate) continue;
      context.addIssue({
        code: 'custom',
        path: ['listeners', kind, ...(trusted_proxies === undefined ? ['tls', 'client_ca'] : ['trusted_proxies'])],
        message: 'clients have to present a certificate here, and no caller under gateway.callers has one; `certificate: any` stands for all of them',
      });
    } else if (kind !== 'ops' && !byTokenAlone && !isLoopback(host)) {
      context.addIssue({
        code: 'custom',
        path: ['listeners', kind, 'host'],
        message: 'others can reach this address, and no caller has a token; add one under gateway.callers, or listen on 127.0.0.1',
      });
    }
  }
}

function checkCallers(callers: readonly [string, CallerConfig][], context: Context): void {
  const holders = new Map<string, string>();
  let loopback: string | null = null;
  for (const [name, caller] of callers) {
    if ('loopback' in caller) {
      if (loopback !== null)
        context.addIssue({ code: 'custom', path: ['callers', name, 'loopback'], message: `the caller ${loopback} is the loopback caller already` });
      loopback ??= name;
      continue;
    }
    if (!('token' in caller)) continue;
    const digest = createHash('sha256').update(caller.token.reveal()).digest('hex');
    const holder = holders.get(digest);
    if (holder !== undefined)
      context.addIssue({ code: 'custom', path: ['callers', name, 'token'], message: `the caller ${holder} has the same token` });
    else holders.set(digest, name);
  }
}

/** Callers that only a certificate tells apart must not share one. */
function checkCertificates(callers: readonly [string, CallerConfig][], context: Context): void {
  const holders = new Map<string, string>();
  for (const [name, caller] of callers) {
    if ('token' in caller || 'loopback' in caller) continue;
    const claimed = claims(compileCertificatePattern(caller.certificate));
    const other = claimed.map((claim) => holders.get(claim)).find((holder) => holder !== undefined && holder !== name);
    if (other !== undefined)
      context.addIssue({ code: 'custom', path: ['callers', name, 'certificate'], message: `the caller ${other} names the same certificates` });
    for (const claim of claimed) holders.set(claim, name);
  }
}

function checkCredentialNames(callers: readonly [string, CallerConfig][], known: readonly string[], context: Context): void {
  for (const [name, { credentials }] of callers) {
    if (credentials === 'all') continue;
    credentials.forEach((credential, index) => {
      if (known.includes(credential)) return;
      const hint = didYouMean(nearestWords(credential, known));
      context.addIssue({ code: 'custom', path: ['callers', name, 'credentials', index], message: `there is no credential of this name${hint}` });
    });
  }
}

function startsWith(path: Path, prefix: Path): boolean {
  return prefix.length <= path.length && prefix.every((segment, index) => segment === path[index]);
}
