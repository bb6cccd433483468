import { accessSync, constants } from 'node:fs';
import { resolve } from 'node:path';
import { editDistance } from '@sallyport/credentials';
import { SallyportError } from '@sallyport/sdk';
import type { z } from 'zod';
import { parseNetwork } from '../../policy/network.js';
import type { Tree } from '../document-tree.js';
import { fileShape } from '../file-shape.js';
import { complaintsOf } from '../issues.js';
import { ConfigError, type Problem } from '../problems.js';
import { readAllowList } from './allow-list.js';
import { checkKeys, type Findings, noFindings, type Path } from './findings.js';
import { readForwardTargets } from './forward-targets.js';
import { parseGoBool } from './go-values.js';
import { BODY_LOGGING, readVariable, readWritten, type SettingName, type SettingValues, settings, variableOf } from './settings.js';
import { type ChaperoneSettings, identifiedBy, originOf, toGateway } from './to-gateway.js';
import { readVerbatim, type VerbatimDocument } from './verbatim-document.js';

/** The environment that variables are looked up in. */
type Environment = Readonly<Record<string, string | undefined>>;

/** What the configuration of a Chaperone comes to. */
export interface ChaperoneConfig {
  /** What our own schema takes. Texts in it are final: no variable is to be filled in any more. May hold the tokens of forward targets. */
  readonly config: { readonly gateway: Readonly<Record<string, unknown>> };
  /** What has no effect here, or another one than there. */
  readonly warnings: readonly Problem[];
  /** The error for what the schema finds wrong with `config`, at the places of the Chaperone file that it comes from. */
  rejection(issues: readonly z.core.$ZodIssue[]): ConfigError;
}

/** Where a file stands and what is around it. */
export interface ChaperoneSurroundings {
  /** Absolute path of the file, for messages and for the plugin. */
  readonly path: string;
  readonly env: Environment;
  /** The directory that relative paths of certificates start from: as there, that of the process. */
  readonly directory: string;
  /** Whether everybody on this machine can read the file. */
  readonly exposed: boolean;
}

const SECTIONS = ['server', 'upstream', 'observability', 'forward_targets'] as const;

/** Keys that are no plain settings. The last two are ours: Chaperone reads over them, so that a file may serve both. */
const FURTHER_KEYS = ['upstream.allow_list', 'observability.sensitive_headers', 'forward_targets', 'server.trusted_proxies', 'plugin'];

/** Whether a document is the configuration of a Chaperone: it has one of its sections, and no `gateway`. */
export function isChaperoneConfig(tree: Tree): boolean {
  return tree.kind === 'map' && !tree.entries.has('gateway') && SECTIONS.some((section) => tree.entries.has(section));
}

/**
 * Reads the YAML of a Chaperone with its `CHAPERONE_*` variables, which count more than the file, and answers a configuration that does the same.
 * Unknown keys are errors, unlike there. Throws a `ConfigError` (`config_invalid`) with every problem.
 */
export function readChaperoneConfig(text: string, { path, env, directory, exposed }: ChaperoneSurroundings): ChaperoneConfig {
  const variable = (name: string): string | undefined => (Object.hasOwn(env, name) ? env[name] : undefined);
  const document = readVerbatim(text, path);
  const findings = noFindings(document, path);
  if (findings.at(BODY_LOGGING.split('.')) !== null) {
    findings.complainAboutKey(
      BODY_LOGGING.split('.'),
      `cannot be set in a file, only by ${variableOf(BODY_LOGGING)}; and bodies are never logged here`,
    );
  }
  checkKeys(findings, [...Object.keys(settings), ...FURTHER_KEYS]);
  const values = withAbsolutePaths(readValues(findings, variable), directory);
  const read: ChaperoneSettings = {
    values,
    allowList: readAllowList(findings),
    sensitiveHeaders: readList(findings, ['observability', 'sensitive_headers'], 'the name of a header', (name) =>
      /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name),
    ),
    forwardTargets: readForwardTargets(findings, variable),
    trustedProxies: readList(findings, ['server', 'trusted_proxies'], 'a network such as 10.0.0.0/8', isNetwork),
    plugin: findings.text(['plugin'], 'the path of a module, or the name of a package'),
  };
  checkFiles(findings, values);
  if (identifiedBy(read) === null) findings.complain(['server', 'addr'], NOBODY_IS_KEPT_OUT);
  warn(findings, read, variable, exposed);
  findings.settle();
  return {
    config: toGateway(read),
    warnings: [...findings.warnings, ...doubtfulVariables(path, env)],
    rejection: (issues) => rejection(issues, document, path),
  };
}

const NOBODY_IS_KEPT_OUT =
  'without TLS everybody who reaches this address could use every credential: turn server.tls.enabled on, name the balancers that end the TLS of ' +
  'the clients in server.trusted_proxies, or listen on 127.0.0.1';

function readValues(findings: Findings, variable: (name: string) => string | undefined): SettingValues {
  const names = Object.keys(settings) as SettingName[];
  const values = Object.fromEntries(names.map((name) => [name, readValue(findings, name, variable(variableOf(name)))]));
  return values as unknown as SettingValues;
}

function readValue<Name extends SettingName>(findings: Findings, name: Name, override: string | undefined): SettingValues[Name] {
  const path = name.split('.');
  let value = settings[name].fallback as SettingValues[Name];
  const written = findings.text(path, 'a single value');
  if (written !== null) {
    const reading = readWritten(name, written);
    if ('expected' in reading) findings.complain(path, `expected ${reading.expected}`);
    else value = reading.value;
  }
  if (override === undefined || override === '') return value;
  const reading = readVariable(name, override);
  if ('value' in reading) return reading.value;
  findings.complainAboutVariable(variableOf(name), name, `expected ${reading.expected}`);
  return value;
}

function readList(findings: Findings, path: Path, expected: string, isValid: (text: string) => boolean): readonly string[] {
  const node = findings.at(path);
  if (node === null) return [];
  if (node.kind !== 'list') {
    findings.complain(path, 'expected a list');
    return [];
  }
  return node.items.map((_, index) => {
    const text = findings.text([...path, index], expected) ?? '';
    if (!isValid(text)) findings.complain([...path, index], `expected ${expected}`);
    return text;
  });
}

function isNetwork(text: string): boolean {
  try {
    parseNetwork(text);
    return true;
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error;
    return false;
  }
}

const FILES = ['server.tls.cert_file', 'server.tls.key_file', 'server.tls.ca_file'] as const;

function withAbsolutePaths(values: SettingValues, directory: string): SettingValues {
  return { ...values, ...Object.fromEntries(FILES.map((name) => [name, resolve(directory, values[name])])) };
}

function checkFiles(findings: Findings, values: SettingValues): void {
  if (!values['server.tls.enabled']) return;
  for (const name of FILES) {
    try {
      accessSync(values[name], constants.R_OK);
    } catch (error) {
      const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
      findings.complain(name.split('.'), `the TLS file ${values[name]} cannot be read (${reason})`);
    }
  }
}

function warn(findings: Findings, { values }: ChaperoneSettings, variable: (name: string) => string | undefined, exposed: boolean): void {
  if (exposed) findings.warn([], 'everybody on this machine can read this file; chmod 600 it');
  if (values['observability.enable_profiling']) {
    findings.warn(['observability', 'enable_profiling'], 'has no effect: there are no profiling endpoints; start Node with --cpu-prof or --inspect');
  }
  if (values['observability.log_target_addr'] === 'full') {
    findings.warn(['observability', 'log_target_addr'], 'the log will hold the queries of all targets, and some services put secrets there');
  }
  if (findings.at(['upstream', 'timeouts', 'keep_alive']) !== null || isSet(variable(variableOf('upstream.timeouts.keep_alive')))) {
    findings.warn(['upstream', 'timeouts', 'keep_alive'], 'has no effect: the system decides about TCP probes');
  }
  if (parseGoBool(variable(variableOf(BODY_LOGGING)) ?? '') === true) {
    findings.warn([], `${variableOf(BODY_LOGGING)} has no effect: bodies are never logged`);
  }
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '';
}

/** Variables that are so near to a known one that they were most likely meant to be it. Others may belong to anything, such as Kubernetes. */
function doubtfulVariables(file: string, env: Environment): Problem[] {
  const known = [...Object.keys(settings), BODY_LOGGING].map(variableOf);
  const candidates = Object.keys(env).filter(
    (name) => /^CHAPERONE_(SERVER|UPSTREAM|OBSERVABILITY)_/.test(name) && isSet(env[name]) && !known.includes(name),
  );
  return candidates.slice(0, 20).flatMap((name) => {
    const near = known.filter((one) => Math.abs(one.length - name.length) < 3 && editDistance(name, one) < 3);
    if (near.length === 0) return [];
    const message = `the environment variable ${name.slice(0, 80)} sets nothing; did you mean ${near.join(' or ')}?`;
    return [{ file, line: 1, column: 1, key: '', message, excerpt: null }];
  });
}

function rejection(issues: readonly z.core.$ZodIssue[], document: VerbatimDocument, path: string): ConfigError {
  const problems = issues.flatMap((issue) => {
    const origin = originOf(issue.path);
    const where = origin.length > 0 ? '' : `${issue.path.map(String).join('.')}: `;
    const found = complaintsOf([{ ...issue, path: [...origin] }], document.tree, fileShape(null).written);
    return found.map(({ span, key, message }) => document.problemAt(span, key, `${where}${message}`));
  });
  return new ConfigError('config_invalid', path, problems);
}
