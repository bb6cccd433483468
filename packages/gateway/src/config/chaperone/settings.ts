import { type Address, parseAddress, parseGoBool, parseGoDuration } from './go-values.js';

/** A value that can be used, or the end of the sentence "expected …". */
type Reading<T> = { readonly value: T } | { readonly expected: string };

/** What reads the text of a setting, and what the setting is when nobody wrote it. */
interface Setting<T> {
  readonly fallback: T;
  read(text: string): Reading<T>;
}

/** Our timers go no further; Chaperone's go further than anybody waits. */
const LONGEST_DURATION = 24 * 86_400_000;

/**
 * Every setting of Chaperone that has a place and a default of its own, by its path in the file. The environment variable that overrides it is the
 * path in upper case with `_` between, after `CHAPERONE_`. Durations are milliseconds, whole ones and at least 1.
 */
export const settings = {
  'server.addr': address({ host: null, port: 443 }),
  'server.admin_addr': address({ host: '127.0.0.1', port: 9090 }),
  'server.shutdown_timeout': duration('30s'),
  'server.tls.enabled': flag(true),
  'server.tls.cert_file': text('/certs/server.crt'),
  'server.tls.key_file': text('/certs/server.key'),
  'server.tls.ca_file': text('/certs/ca.crt'),
  'server.tls.auto_rotate': flag(true),
  'upstream.header_prefix': token('X-Connect'),
  'upstream.trace_header': token('Connect-Request-ID'),
  'upstream.timeouts.connect': duration('5s'),
  'upstream.timeouts.read': duration('30s'),
  'upstream.timeouts.write': duration('30s'),
  'upstream.timeouts.idle': duration('120s'),
  'upstream.timeouts.keep_alive': duration('30s'),
  'upstream.timeouts.plugin': duration('10s'),
  'observability.log_level': word('info', ['debug', 'info', 'warn', 'error']),
  'observability.enable_profiling': flag(false),
  'observability.enable_tracing': flag(false),
  'observability.log_target_addr': word('host', ['host', 'path', 'full']),
} as const;

/** The path of a setting. */
export type SettingName = keyof typeof settings;

/** The values of all settings. */
export type SettingValues = { readonly [Name in SettingName]: (typeof settings)[Name] extends Setting<infer Value> ? Value : never };

/** Settings that only a variable can turn on: nobody shall find them in a file and leave them there. */
export const BODY_LOGGING = 'observability.enable_body_logging';

/** The environment variable that overrides the setting at a path. */
export function variableOf(path: string): string {
  return `CHAPERONE_${path.toUpperCase().replaceAll('.', '_')}`;
}

/** Reads what stands in a file, where YAML has more words for true and false than Go has. */
export function readWritten<Name extends SettingName>(name: Name, written: string): Reading<SettingValues[Name]> {
  const setting = settings[name] as unknown as Setting<SettingValues[Name]>;
  return setting.read(typeof setting.fallback === 'boolean' ? (YAML_WORDS.get(written.toLowerCase()) ?? written) : written);
}

/** Reads the value of a variable. */
export function readVariable<Name extends SettingName>(name: Name, written: string): Reading<SettingValues[Name]> {
  return (settings[name] as unknown as Setting<SettingValues[Name]>).read(written);
}

const YAML_WORDS: ReadonlyMap<string, string> = new Map([
  ...['y', 'yes', 'on'].map((word) => [word, 'true'] as const),
  ...['n', 'no', 'off'].map((word) => [word, 'false'] as const),
]);

function text(fallback: string): Setting<string> {
  return { fallback, read: (value) => (/[\0-\x1f\x7f]/.test(value) ? { expected: 'a text without control characters' } : { value }) };
}

function token(fallback: string): Setting<string> {
  const expected = "the name of a header: letters, digits and !#$%&'*+-.^_`|~ only";
  return { fallback, read: (value) => (/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}$/.test(value) ? { value } : { expected }) };
}

function flag(fallback: boolean): Setting<boolean> {
  return {
    fallback,
    read(written) {
      const value = parseGoBool(written);
      return value === null ? { expected: 'true or false' } : { value };
    },
  };
}

function address(fallback: Address): Setting<Address> {
  return {
    fallback,
    read(written) {
      const value = parseAddress(written);
      return value === null ? { expected: 'an address such as ":443" or "127.0.0.1:9090", with a port from 0 to 65535' } : { value };
    },
  };
}

function duration(fallback: string): Setting<number> {
  return { fallback: parseGoDuration(fallback) ?? 0, read: readDuration };
}

/** Whole milliseconds of a positive duration. */
export function readDuration(written: string): Reading<number> {
  const value = parseGoDuration(written);
  if (value === null) return { expected: 'a duration such as 500ms, 30s or 1h30m' };
  if (value <= 0) return { expected: 'a positive duration' };
  return value > LONGEST_DURATION ? { expected: 'a duration of at most 576h' } : { value: Math.ceil(value) };
}

function word<const Word extends string>(fallback: Word, words: readonly Word[]): Setting<Word> {
  return {
    fallback,
    read(written) {
      const value = words.find((known) => known === written);
      return value === undefined ? { expected: `${words.slice(0, -1).join(', ')} or ${words.at(-1)}` } : { value };
    },
  };
}
