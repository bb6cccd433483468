// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the message shows how a reference is written.
import { checkMap, type Findings, type Path } from './findings.js';
import { expandVariables } from './go-values.js';
import { readDuration } from './settings.js';

/** Another upstream that a router may choose, as our configuration writes it. */
export interface ForwardTarget {
  readonly url: string;
  /** Milliseconds until its response head. */
  readonly timeout: number;
  readonly auth: { readonly type: 'none' } | { readonly type: 'bearer'; readonly token: string | { readonly env: string } };
}

const SECTION = 'forward_targets';
const DEFAULT_TIMEOUT = 30_000;

/** The forward targets by name. A token that is a single variable stays a reference to it. */
export function readForwardTargets(findings: Findings, variable: (name: string) => string | undefined): Record<string, ForwardTarget> {
  const section = findings.at([SECTION]);
  if (section === null) return {};
  if (section.kind !== 'map') {
    findings.complain([SECTION], 'expected a map');
    return {};
  }
  return Object.fromEntries(
    Array.from(section.entries, ([name, { node }]) => {
      const path = [SECTION, name];
      checkMap(findings, path, ['url', 'timeout', 'auth']);
      if (node.kind !== 'map' && findings.at(path) !== null) return [name, { url: '', timeout: 0, auth: { type: 'none' } }];
      return [
        name,
        { url: readUrl(findings, [...path, 'url']), timeout: readTimeout(findings, [...path, 'timeout']), auth: readAuth(findings, path, variable) },
      ];
    }),
  );
}

function readUrl(findings: Findings, path: Path): string {
  const expected = 'an https URL with a host';
  const written = findings.text(path, expected);
  if (written === null) {
    findings.complain(path, `is required: expected ${expected}`);
    return '';
  }
  const url = URL.canParse(written) ? new URL(written) : null;
  if (url === null || !/^https?:\/\/[^/?#\\]/i.test(written)) findings.complain(path, `expected ${expected}`);
  else if (url.protocol !== 'https:') findings.complain(path, 'a forward target has to be https: the request and its token would travel unencrypted');
  else if (url.username !== '' || url.password !== '') findings.complain(path, 'holds a user name or a password; a token belongs to auth.token');
  return written;
}

function readTimeout(findings: Findings, path: Path): number {
  const written = findings.text(path, 'a duration');
  if (written === null) return DEFAULT_TIMEOUT;
  const reading = readDuration(written);
  if ('value' in reading) return reading.value;
  // Nothing and less than nothing mean the default here, and only here.
  if (reading.expected !== 'a positive duration') findings.complain(path, `expected ${reading.expected}`);
  return DEFAULT_TIMEOUT;
}

function readAuth(findings: Findings, target: Path, variable: (name: string) => string | undefined): ForwardTarget['auth'] {
  const path = [...target, 'auth'];
  checkMap(findings, path, ['type', 'token']);
  const type = findings.text([...path, 'type'], 'bearer or none');
  const token = findings.text([...path, 'token'], 'a token');
  if (type === 'none') {
    if (token !== null) findings.warn([...path, 'token'], 'the token is not used: the type is none');
    return { type };
  }
  if (type !== 'bearer') {
    findings.complain([...path, 'type'], type === null ? 'is required: expected bearer or none' : 'expected bearer or none');
    return { type: 'none' };
  }
  if (token === null) {
    findings.complain([...path, 'token'], 'is required: expected a token, as in ${TOKEN}');
    return { type, token: '' };
  }
  const expanded = expandVariables(token, variable);
  if ('problem' in expanded) {
    findings.complain([...path, 'token'], expanded.problem);
    return { type, token: '' };
  }
  if (!/^[\x20-\x7e]+$/.test(expanded.text)) findings.complain([...path, 'token'], 'the token holds a character that a header cannot carry');
  return { type, token: expanded.only === null ? expanded.text : { env: expanded.only } };
}
