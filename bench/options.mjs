import { parseArgs } from 'node:util';
import { lookupsName } from './lookups.mjs';
import { variantNames } from './variants/all.mjs';
import { workloads } from './workloads.mjs';

/**
 * @typedef {object} Options
 * @property {number} rounds how often each variant is measured in each workload
 * @property {number} seconds how long one measurement lasts (whole seconds)
 * @property {string[]} only names of the workloads to run
 * @property {string[]} variants names of the variants to run
 * @property {boolean} quick whether `--quick` shortened the run
 * @property {boolean} writeReadme whether the table goes into README.md
 * @property {boolean} report whether to print the last results instead of measuring
 */

const measurements = [...workloads.map((workload) => workload.name), lookupsName];

export const help = `Usage: npm run bench -- [options]
       npm run bench -- control [options]     the control plane; has a --help of its own

The same work through Sallyport, a direct connection, nginx, haproxy and a standard-library Go proxy.
One proxy process on one core, upstream and load on the other; interleaved rounds; medians.

Options:
  --rounds N          measurements of each variant in each workload (default 5)
  --seconds S         length of one measurement in whole seconds (default 2)
  --quick             2 rounds of 1 second: about 3 minutes instead of 12, and noisier
  --only NAME,...     only these workloads: ${measurements.join(', ')}
  --variants NAME,... only these variants: ${variantNames.join(', ')}
  --write-readme      put the table into bench/README.md
  --report            do not measure: print (and with --write-readme, write) the results of the last run
  --help              this text

Results: bench/results/latest.json
`;

/**
 * Reads the command line.
 * @param {string[]} args
 * @returns {Options | null} null when the help was asked for
 * @throws {Error} with a sentence for the user when an option is unknown or has no sensible value
 */
export function parseOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      only: { type: 'string' },
      variants: { type: 'string' },
      quick: { type: 'boolean', default: false },
      'write-readme': { type: 'boolean', default: false },
      report: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  return {
    rounds: wholeNumber('--rounds', values.rounds, values.quick ? 2 : 5),
    seconds: wholeNumber('--seconds', values.seconds, values.quick ? 1 : 2),
    only: names('--only', values.only, measurements),
    variants: names('--variants', values.variants, variantNames),
    quick: values.quick,
    writeReadme: values['write-readme'],
    report: values.report,
  };
}

/** @param {string} option @param {string | undefined} text @param {number} fallback */
function wholeNumber(option, text, fallback) {
  if (text === undefined) return fallback;
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new Error(`${option} wants a whole number from 1 to 9999, not "${text}".`);
  return Number(text);
}

/** @param {string} option @param {string | undefined} text @param {readonly string[]} known */
function names(option, text, known) {
  if (text === undefined) return [...known];
  const asked = text.split(',').map((name) => name.trim());
  const unknown = asked.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`${option} does not know "${unknown}". There are: ${known.join(', ')}.`);
  return known.filter((name) => asked.includes(name));
}
