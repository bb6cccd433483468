import { readFileSync } from 'node:fs';

/**
 * How many checks and tests ended in each way.
 *
 * @typedef {{ passed: number, failed: number, skipped: number }} Counts
 */

/** @type {Counts} */
export const nothing = { passed: 0, failed: 0, skipped: 0 };

/**
 * @param {Counts[]} counts
 * @returns {Counts}
 */
export function sum(counts) {
  return counts.reduce((a, b) => ({ passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped }), nothing);
}

/**
 * The counts as the last line of a run has them: `N passed, N failed`, and `, N skipped` when any were.
 *
 * @param {Counts} counts
 */
export function describe({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/**
 * The counts in a JSON report of vitest. A file that could not be loaded has no failed test in it, and counts as one failure; so does a
 * report that is not there.
 *
 * @param {string} file
 * @param {boolean} ok whether vitest's exit code was 0
 * @returns {Counts}
 */
export function readReport(file, ok) {
  let report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { ...nothing, failed: 1 };
  }
  const brokenFiles = report.testResults.filter(({ status, assertionResults }) => {
    return status === 'failed' && !assertionResults.some((test) => test.status === 'failed');
  }).length;
  const counts = {
    passed: report.numPassedTests,
    failed: report.numFailedTests + brokenFiles,
    skipped: report.numPendingTests + report.numTodoTests,
  };
  // An error outside of any test, such as an unhandled rejection, is in the exit code only.
  return !ok && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}
