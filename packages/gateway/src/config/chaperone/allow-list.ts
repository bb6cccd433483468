import { SallyportError } from '@sallyport/sdk';
import { type AllowListEntries, compileAllowList } from '../../policy/allow-list.js';
import { parseAllowListKey, parseAllowListPath } from '../../policy/allow-list-key.js';
import type { Findings, Path } from './findings.js';

const PATH = ['upstream', 'allow_list'];

/**
 * The allow-list, which has to be there and to have at least one host. A host that the less specific keys match as well gets a warning: Chaperone
 * looks at the first key that matches and at no other, and here the paths of all of them count.
 */
export function readAllowList(findings: Findings): AllowListEntries {
  const section = findings.at(PATH);
  if (section === null || (section.kind === 'map' && section.entries.size === 0)) {
    findings.complain(PATH, 'is required: expected at least one host with its paths, as in "api.example.com": ["/v1/**"]');
    return {};
  }
  if (section.kind !== 'map') {
    findings.complain(PATH, 'expected a map of hosts to lists of paths');
    return {};
  }
  const entries: Record<string, readonly string[]> = {};
  const seen = new Map<string, string>();
  for (const key of section.entries.keys()) {
    const path = [...PATH, key];
    const paths = readPaths(findings, path);
    const text = checked(findings, path, () => parseAllowListKey(key).text);
    if (text === null) continue;
    const earlier = seen.get(text);
    if (earlier !== undefined)
      findings.complainAboutKey(path, `this is the same host as ${JSON.stringify(earlier)} above; put all paths under one key`);
    else entries[key] = paths;
    seen.set(text, earlier ?? key);
  }
  warnAboutOverlaps(findings, entries);
  return entries;
}

/** The paths of a key; those that are none are left out. A list that is empty or not there denies every path. */
function readPaths(findings: Findings, path: Path): readonly string[] {
  const node = findings.at(path);
  if (node === null) return [];
  if (node.kind !== 'list') {
    findings.complain(path, 'expected a list of paths');
    return [];
  }
  return node.items.flatMap((item, index) => {
    const at = [...path, index];
    if (item.kind !== 'scalar' || item.value === null) {
      findings.complain(at, 'expected a path');
      return [];
    }
    const pattern = String(item.value);
    return checked(findings, at, () => parseAllowListPath(pattern)) === null ? [] : [pattern];
  });
}

function warnAboutOverlaps(findings: Findings, entries: AllowListEntries): void {
  const list = compileAllowList(entries);
  for (const [key, paths] of Object.entries(entries)) {
    const { host, port, text } = parseAllowListKey(key);
    // An empty list denies its host there and here.
    if (host === null || paths.length === 0) continue;
    const others = list.keysFor(host).filter((other) => other.host === null && other.port === port);
    const wider = others.map((other) => other.text).filter((other) => other !== text);
    if (wider.length > 0) {
      findings.warn([...PATH, key], `the paths of ${wider.join(' and ')} count for this host as well; Chaperone would look at this key alone`);
    }
  }
}

function checked<T>(findings: Findings, path: Path, read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error;
    findings.complain(path, error.message);
    return null;
  }
}
