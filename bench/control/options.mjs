import { parseArgs } from 'node:util';

/**
 * @typedef {object} ControlOptions
 * @property {number} rounds how often each server is measured with each request
 * @property {number} seconds how long one of these measurements lasts
 * @property {Part[]} only what to measure
 * @property {Provider[]} databases
 * @property {Record<Provider, number>} rows how many rows the longest lists have
 * @property {boolean} short
 * @property {boolean} writeReadme
 * @property {boolean} report
 */

/** @typedef {typeof parts[number]} Part */
/** @typedef {typeof providers[number]} Provider */

const parts = /** @type {const} */ (['requests', 'tokens', 'permissions', 'encryption', 'lists']);
const providers = /** @type {const} */ (['sqlite', 'postgres']);

export const help = `Usage: npm run bench -- control [options]

What the control plane costs, next to bare Fastify, bare jose and bare node:crypto; and whether its lists stay flat.

Options:
  --rounds N          measurements of each server with each request (default 5)
  --seconds S         length of one measurement in whole seconds (default 2)
  --short             2 rounds of 1 second, and lists of up to 10,000 rows: noisier
  --full              lists of up to 1,000,000 rows on Postgres too, where otherwise they have 200,000
  --rows N            lists of up to so many rows, on both databases
  --only NAME,...     only these parts: ${parts.join(', ')}
  --databases NAME,.. only these: ${providers.join(', ')}
  --write-readme      put the tables into bench/README.md
  --report            do not measure: print (and with --write-readme, write) the results of the last run
  --help              this text

Results: bench/results/control.json
`;

/**
 * Reads what comes after `control`.
 * @param {string[]} args
 * @returns {ControlOptions | null} null when the help was asked for
 * @throws {Error} with a sentence for the user when an option is unknown or has no sensible value
 */
export function parseControlOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      rows: { type: 'string' },
      only: { type: 'string' },
      databases: { type: 'string' },
      short: { type: 'boolean', default: false },
      full: { type: 'boolean', default: false },
      'write-readme': { type: 'boolean', default: false },
      report: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const { short, full } = values;
  const rows = values.rows === undefined ? undefined : wholeNumber('--rows', values.rows, 1000, 10_000_000);
  return {
    rounds: wholeNumber('--rounds', values.rounds ?? (short ? '2' : '5'), 1, 1000),
    seconds: wholeNumber('--seconds', values.seconds ?? (short ? '1' : '2'), 1, 1000),
    only: names('--only', values.only, parts),
    databases: names('--databases', values.databases, providers),
    rows: { sqlite: rows ?? (short ? 10_000 : 1_000_000), postgres: rows ?? (short ? 10_000 : full ? 1_000_000 : 200_000) },
    short,
    writeReadme: values['write-readme'],
    report: values.report,
  };
}

/** @param {string} option @param {string} text @param {number} least @param {number} most */
function wholeNumber(option, text, least, most) {
  const number = /^\d{1,8}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= least && number <= most)) throw new Error(`${option} wants a whole number from ${least} to ${most}, not "${text}".`);
  return number;
}

/** @template {string} Name @param {string} option @param {string | undefined} text @param {readonly Name[]} known @returns {Name[]} */
function names(option, text, known) {
  if (text === undefined) return [...known];
  const asked = text.split(',').map((name) => name.trim());
  const unknown = asked.find((name) => !known.some((each) => each === name));
  if (unknown !== undefined) throw new Error(`${option} does not know "${unknown}". There are: ${known.join(', ')}.`);
  return known.filter((name) => asked.includes(name));
}
