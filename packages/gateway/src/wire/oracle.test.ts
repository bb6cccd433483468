import { METHODS } from 'node:http';
import { describe, expect, test } from 'vitest';
import { requests, responses, sentinel } from './testing/ambiguous-messages.test.support.js';
import { mutate, seededRandom } from './testing/mutator.test.support.js';
import { nodeReadRequests, nodeReadResponse } from './testing/node-reading.test.support.js';
import type { Reading } from './testing/reading.test.support.js';
import { readRequests, readResponse } from './testing/wire-reading.test.support.js';

// Node's own parser as oracle: what both take must mean the same, what its strict mode refuses has to be refused here.
// SALLYPORT_FUZZ_CASES=200000 tries more mutants, SALLYPORT_FUZZ_SEED=7 others; a failure prints the message that both were given.
const cases = Number(process.env.SALLYPORT_FUZZ_CASES ?? 4000);
const seed = Number(process.env.SALLYPORT_FUZZ_SEED ?? 20);

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/** Messages that Node's parser refuses for reasons which are not the wire's: it knows a list of methods, and the doors judge the form of targets. */
function leftToOthers(node: Reading, ours: Reading): boolean {
  const [method, target] = ours.messages[node.messages.length]?.start ?? ['', ''];
  // Of HTTP/2's preface Node says that the version is wrong.
  if (node.reason === 'HPE_INVALID_METHOD' || method === 'PRI') return !METHODS.includes(method);
  return node.reason === 'HPE_INVALID_URL' && (!target.startsWith('/') || target.includes('#'));
}

/** What is wrong when the two readings of the same bytes are put side by side; null when nothing is. `later`: ours with an empty line at the end. */
function difference(node: Reading, ours: Reading, later: Reading): string | null {
  const both = Math.min(node.messages.length, ours.messages.length);
  for (let i = 0; i < both; i++) {
    if (JSON.stringify(node.messages[i]) !== JSON.stringify(ours.messages[i])) return `message ${i} means something else`;
  }
  if (ours.messages.length > both && node.stop !== 'tunnel' && !leftToOthers(node, ours))
    return `message ${both} was taken, but Node ${node.stop}: ${node.reason}`;
  if (node.messages.length > both && ours.stop !== 'refused') return `Node took message ${both}, but it is ${ours.stop}`;
  // Some refusals come at the end of the line that they are about: they have to come when it does.
  if (node.stop === 'refused' && ours.stop === 'incomplete' && later.messages.length > both && !leftToOthers(node, later)) {
    return `Node refused (${node.reason}) what will be taken when more bytes come`;
  }
  return null;
}

async function compareRequests(text: string): Promise<void> {
  const input = bytes(text);
  const node = await nodeReadRequests(input);
  const ours = readRequests(input);
  const wrong = difference(node, ours, readRequests(bytes(`${text}\r\n\r\n`)));
  if (wrong !== null) expect.fail(`${wrong}\n${JSON.stringify(text)}\nNode: ${JSON.stringify(node)}\nours: ${JSON.stringify(ours)}`);
}

async function compareResponse(text: string, method: string): Promise<void> {
  const input = bytes(text);
  const ours = readResponse(input, method);
  // A switch of protocols is no answer to what was asked.
  if (ours.messages.some(({ start }) => start[0] === '101')) return;
  const node = await nodeReadResponse(input, method);
  const wrong = difference(node, ours, readResponse(bytes(`${text}\r\n\r\n`), method));
  if (wrong !== null) expect.fail(`${wrong}\n${method} ${JSON.stringify(text)}\nNode: ${JSON.stringify(node)}\nours: ${JSON.stringify(ours)}`);
}

describe('requests, against Node’s parser in its strict mode', () => {
  test.each(requests)('%s', async (_, text) => {
    await compareRequests(text + sentinel);
    await compareRequests(text);
  });

  test.each(requests)('%s: the same at every split', (_, text) => {
    const input = bytes(text + sentinel);
    const whole = readRequests(input);
    for (let split = 1; split < input.length; split++) expect(readRequests(input, [split]), `split at ${split}`).toEqual(whole);
    expect(readRequests(input, [...input.keys()]), 'byte by byte').toEqual(whole);
  });

  test(`${cases} mutants`, { timeout: 60_000 + 10 * cases }, async () => {
    const random = seededRandom(seed);
    const texts = requests.map(([, text]) => text);
    let taken = 0;
    let refused = 0;
    for (let i = 0; i < cases; i++) {
      const text = mutate(texts[random(texts.length)], texts, random) + sentinel;
      await compareRequests(text);
      const ours = readRequests(bytes(text));
      const splits = Array.from({ length: random(6) }, () => random(text.length)).sort((a, b) => a - b);
      expect(readRequests(bytes(text), splits), `${JSON.stringify(text)} split at ${splits.join(', ')}`).toEqual(ours);
      if (ours.messages.length > 0) taken++;
      if (ours.stop === 'refused') refused++;
    }
    // A mutator that only makes rubbish, or only harmless changes, would prove nothing.
    expect(taken).toBeGreaterThan(cases / 10);
    expect(refused).toBeGreaterThan(cases / 4);
  });
});

describe('responses, against Node’s parser in its strict mode', () => {
  test.each(responses)('%s (%s)', async (_, method, text) => {
    await compareResponse(text, method);
    const input = bytes(text);
    const whole = readResponse(input, method);
    for (let split = 1; split < input.length; split++) expect(readResponse(input, method, [split]), `split at ${split}`).toEqual(whole);
  });

  test(`${cases / 2} mutants`, { timeout: 60_000 + 10 * cases }, async () => {
    const random = seededRandom(seed + 1);
    const texts = responses.map(([, , text]) => text);
    for (let i = 0; i < cases / 2; i++) {
      const [, method, text] = responses[random(responses.length)];
      await compareResponse(mutate(text, texts, random), method);
    }
  });
});
