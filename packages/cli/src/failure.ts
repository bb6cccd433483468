import { asSallyportError, type ErrorCode, type SallyportError } from '@sallyport/sdk';
import { coloursFor } from './terminal.js';

/** What each exit code says to the program that started the command. Other numbers come from the program under `sallyport run`. */
export const exitCodes = {
  0: 'everything went well; `serve` was asked to stop, and did',
  1: 'the command line is wrong, a check found something, or something unexpected happened',
  2: 'the configuration is missing or not valid',
  3: 'the gateway that runs with this configuration cannot be joined, or the control plane cannot be reached',
  4: 'a credential, a caller, a signing key or a token cannot be used as it is',
  5: 'the certificate authority cannot be used',
  6: 'a port cannot be opened',
} as const;

const codes: { readonly [Code in ErrorCode]?: keyof typeof exitCodes } = {
  config_not_found: 2,
  config_invalid: 2,
  client_config_invalid: 2,
  client_config_incomplete: 2,
  not_ready: 3,
  server_unreachable: 3,
  caller_required: 4,
  caller_unknown: 4,
  caller_throttled: 4,
  credential_unavailable: 4,
  credential_unusable: 4,
  credential_ambiguous: 4,
  signing_key_invalid: 4,
  token_invalid: 4,
  token_expired: 4,
  token_not_yet_valid: 4,
  token_lives_too_long: 4,
  token_audience_wrong: 4,
  token_replayed: 4,
  authority_invalid: 5,
  authority_permissions: 5,
  address_in_use: 6,
  bind_failed: 6,
};

/** The exit code that goes with an error. */
export function exitCodeOf(error: SallyportError): number {
  return codes[error.code] ?? 1;
}

/**
 * Prints an error for people on standard error (a sentence, its code, what to do about it) and answers its exit code. A stack is shown only where
 * SALLYPORT_DEBUG=1 asks for it.
 */
export async function printFailure(thrown: unknown): Promise<number> {
  const error = asSallyportError(thrown);
  process.stderr.write(`${await describeFailure(error)}\n`);
  if (process.env.SALLYPORT_DEBUG === '1') console.error(thrown);
  else if (error.code === 'internal_error') process.stderr.write('  SALLYPORT_DEBUG=1 in the environment shows where it happened.\n');
  return exitCodeOf(error);
}

async function describeFailure(error: SallyportError): Promise<string> {
  const colours = coloursFor(process.stderr);
  const places = await placesOf(error);
  const sentence = places === null ? error.message : 'The configuration is not valid.';
  const lines = [`${colours.red('error:')} ${sentence}`, ...(places === null ? [] : [places])];
  const { request_id: id } = error.members;
  return [
    ...lines,
    `  ${colours.dim('code:')} ${error.code}`,
    ...(typeof id === 'string' ? [`  ${colours.dim('request:')} ${id}`] : []),
    `  ${colours.dim('hint:')} ${error.hint.replaceAll('\n', '\n        ')}`,
  ].join('\n');
}

/** Every place that is wrong, for an error about a configuration. Only then is the gateway loaded, and it is there already. */
async function placesOf(error: SallyportError): Promise<string | null> {
  if (error.code !== 'config_invalid') return null;
  const { ConfigError, formatProblems } = await import('@sallyport/gateway');
  return error instanceof ConfigError && error.problems.length > 0 ? formatProblems(error.problems) : null;
}
