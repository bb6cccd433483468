import { generateKeyPairSync } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { SallyportError } from '@sallyport/sdk';
import type { Authorization, Client, Order } from 'acme-client';
import { type KeyPair, readCertificate } from '../served-certificate.js';
import { acmeLibrary, problemFields } from './acme-library.js';
import type { ChallengeAnswers } from './challenge-answers.js';

/** What an order is made with. */
export interface OrderOptions {
  readonly client: Client;
  readonly host: string;
  readonly answers: ChallengeAnswers;
  readonly signal: AbortSignal;
}

const FIRST_POLL_MS = 250;
const LONGEST_POLL_MS = 10_000;
/** Some three minutes altogether. */
const MOST_POLLS = 24;

/**
 * A new P-256 key and a certificate for it and this host alone, with its chain: ordered, answered for over HTTP, fetched and checked. Throws
 * `acme_challenge_failed` when the authority could not see that the host is here, `acme_order_refused`, what the calls throw, or the reason of the
 * signal.
 */
export async function orderCertificate({ client, host, answers, signal }: OrderOptions): Promise<KeyPair> {
  const order = await client.createOrder({ identifiers: [{ type: 'dns', value: host }] });
  await answerFor(order, { client, host, answers, signal });
  const ready = await settled(client, order, ['ready', 'valid'], signal);
  if (ready.status === 'invalid') throw await challengeFailed(client, ready, host);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const acme = await acmeLibrary();
  const [, csr] = await acme.crypto.createCsr({ altNames: [host] }, key);
  const finalized = await settled(client, await client.finalizeOrder(ready, csr), ['valid'], signal);
  if (finalized.status === 'invalid') throw refused(`The authority made no certificate for ${host}: ${problemFields(finalized.error).detail}`);
  return requireFor(host, { key, cert: await client.getCertificate(finalized) });
}

async function answerFor(order: Order, { client, host, answers, signal }: OrderOptions): Promise<void> {
  const pending = (await client.getAuthorizations(order)).filter(({ status }) => status !== 'valid');
  for (const { challenges } of pending) {
    signal.throwIfAborted();
    const challenge = challenges.find(({ type }) => type === 'http-01');
    if (challenge === undefined) throw new SallyportError('acme_challenge_failed', { detail: `The authority does not check ${host} over HTTP.` });
    await answers.put(challenge.token, await client.getChallengeKeyAuthorization(challenge));
    await client.completeChallenge(challenge);
  }
}

/** The order once it is in one of these states, or invalid. */
async function settled(client: Client, order: Order, states: readonly Order['status'][], signal: AbortSignal): Promise<Order> {
  let current = order;
  let wait = FIRST_POLL_MS;
  for (let left = MOST_POLLS; !states.includes(current.status) && current.status !== 'invalid'; left -= 1) {
    if (left === 0) throw refused(`The authority has not decided after ${MOST_POLLS} questions; the order is ${current.status}.`);
    await pause(wait, undefined, { signal });
    wait = Math.min(wait * 1.6, LONGEST_POLL_MS);
    current = await client.getOrder(current);
  }
  return current;
}

async function challengeFailed(client: Client, order: Order, host: string): Promise<SallyportError> {
  const authorizations = await client.getAuthorizations(order);
  const { type, detail } = problemFields(authorizations.map(failedWith).find((error) => error !== undefined) ?? order.error);
  const said = detail === '' ? 'and did not say why' : `(${type}): ${detail}`;
  return new SallyportError('acme_challenge_failed', {
    detail: `The authority could not see that ${host} is here ${said}`,
    members: { acme_error: type },
  });
}

function failedWith({ challenges }: Authorization): unknown {
  return challenges.find(({ status }) => status === 'invalid')?.error;
}

/** What an authority hands out is looked at before it replaces what works. */
function requireFor(host: string, pair: KeyPair): KeyPair {
  const name = 'certificate from the authority';
  const certificate = readCertificate(pair, { cert: name, key: name });
  if (certificate.leaf.checkHost(host) === undefined) throw refused(`The certificate from the authority is not for ${host}.`);
  if (Date.now() >= certificate.notAfter) throw refused(`The certificate from the authority has expired; is the clock of this machine right?`);
  return { key: pair.key, cert: certificate.pair.cert };
}

function refused(detail: string): SallyportError {
  return new SallyportError('acme_order_refused', { detail });
}
