import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import { ConfigError, type Problem } from '../problems.js';
import { type ChaperoneConfig, readChaperoneConfig } from './chaperone-config.js';

/** Where relative paths start; it has server.crt, server.key and ca.crt, as long as a test file runs. */
export const directory = mkdtempSync(join(tmpdir(), 'chaperone-config-'));
for (const name of ['server.crt', 'server.key', 'ca.crt']) writeFileSync(join(directory, name), '');
afterAll(() => rmSync(directory, { recursive: true }));

/** The variables of a test. */
export type Env = Readonly<Record<string, string>>;

/** Reads a text as /etc/config.yaml. */
export function read(text: string, env: Env = {}): ChaperoneConfig {
  return readChaperoneConfig(text, { path: '/etc/config.yaml', env, directory, exposed: false });
}

/** What a text comes to. */
export function gatewayOf(text: string, env: Env = {}): Record<string, unknown> {
  return read(text, env).config.gateway;
}

/** What is wrong with a text, in which a ‸ stands before each place that is. */
export function expectProblems(marked: string, expected: readonly (readonly [key: string, message: string])[], env: Env = {}): void {
  const [first, ...parts] = marked.split('‸');
  let text = first;
  const positions = parts.map((part) => {
    const lines = text.split('\n');
    text += part;
    return { line: lines.length, column: lines[lines.length - 1].length + 1 };
  });
  let problems: readonly Problem[] = [];
  try {
    read(text, env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.code).toBe('config_invalid');
    problems = error.problems;
  }
  expect(problems.map(({ key, line, column, message }) => ({ key, line, column, message }))).toEqual(
    expected.map(([key, message], index) => ({ key, ...positions[index], message: expect.stringContaining(message) as unknown })),
  );
}

/** The least that is valid, with further lines at the top. */
export function minimal(...lines: string[]): string {
  return ['server: { addr: "127.0.0.1:8443", tls: { enabled: false } }', 'upstream: { allow_list: { v.com: [/**] } }', ...lines].join('\n');
}

/** A server without TLS, on loopback. */
export const PLAIN = ['server:', '  addr: 127.0.0.1:8443', '  tls: { enabled: false }'];
/** An allow-list. */
export const LIST = ['upstream:', '  allow_list: { v.com: [/**] }'];

/** A text of these lines. */
export function file(...lines: readonly string[]): string {
  return lines.join('\n');
}
