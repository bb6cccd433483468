import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { readNames } from './alternative-names.js';
import { makeRequest } from './certificate-request.js';
import { certificateNotAfter, type ExpiryWarning, watchExpiry } from './expiry.js';
import { DAY, rootIssuer } from './issuing.test.support.js';

const NOW = Date.parse('2030-01-01T00:00:00Z');

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
});
afterEach(() => {
  vi.useRealTimers();
});

async function certificate(notAfter: number): Promise<string> {
  const { csr } = await makeRequest({ commonName: 'x', names: readNames(['a.example']) });
  return (await rootIssuer()).sign(csr, { notBefore: NOW - 400 * DAY, notAfter });
}

function watched(pem: () => string | null): ExpiryWarning[] {
  const warnings: ExpiryWarning[] = [];
  const watch = watchExpiry({ certificate: pem, warn: (warning) => void warnings.push(warning) });
  vi.advanceTimersByTime(0);
  stops.push(watch.stop);
  return warnings;
}

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

test('the end of a certificate can be read', async () => {
  const pem = await certificate(NOW + 5 * DAY);
  expect(certificateNotAfter(`text\n${pem}${await certificate(NOW)}`)).toBe(NOW + 5 * DAY);
  expect(certificateNotAfter('nonsense')).toBeNull();
});

test('each threshold is told once, and the end', async () => {
  const pem = await certificate(NOW + 40 * DAY);
  const warnings = watched(() => pem);
  expect(warnings).toEqual([]);
  vi.advanceTimersByTime(50 * DAY);
  expect(warnings.map(({ daysLeft }) => daysLeft)).toEqual([30, 14, 7, 3, 1, 0]);
  expect(warnings.map(({ expired }) => expired)).toEqual([false, false, false, false, false, true]);
  expect(new Set(warnings.map(({ notAfter }) => notAfter))).toEqual(new Set([NOW + 40 * DAY]));
});

test('who starts late is told of the nearest at once', async () => {
  const pem = await certificate(NOW + 5 * DAY);
  expect(watched(() => pem)).toEqual([{ daysLeft: 5, expired: false, notAfter: NOW + 5 * DAY }]);
  const expired = await certificate(NOW - DAY);
  expect(watched(() => expired)).toEqual([{ daysLeft: 0, expired: true, notAfter: NOW - DAY }]);
});

test('a renewed certificate starts from the beginning', async () => {
  let pem: string | null = await certificate(NOW + 2 * DAY);
  const renewed = await certificate(NOW + 32 * DAY);
  const warnings = watched(() => pem);
  pem = renewed;
  vi.advanceTimersByTime(3 * DAY);
  expect(warnings.map(({ notAfter }) => notAfter)).toEqual([NOW + 2 * DAY, NOW + 32 * DAY]);
  pem = null;
  vi.advanceTimersByTime(40 * DAY);
  expect(warnings).toHaveLength(2);
});

test('nothing is said after the stop', async () => {
  const pem = await certificate(NOW + 31 * DAY);
  const warnings = watched(() => pem);
  for (const stop of stops.splice(0)) stop();
  vi.advanceTimersByTime(40 * DAY);
  expect(warnings).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});
