import { randomUUID } from 'node:crypto';
import * as z from 'zod';
import type { Bus } from './bus.js';
import { parseJson } from './carrier.js';
import type { Count, RateCounts, Tally } from './rate-counts.js';

const TOPIC = 'rates';
/** How many counts fit into one notification of Postgres. */
const COUNTS_PER_MESSAGE = 120;
const MESSAGES_PER_ROUND = 20;

/** Takes the counts of this process to the others and theirs to this one. */
export interface RateGossip {
  /** Tells what is new, unless the bus is down. Rejects when that did not work; then it is told in the next round. */
  round(): Promise<void>;
  stop(): void;
}

const message = z.union([
  z.strictObject({ sender: z.string().max(64), again: z.literal(true) }),
  z.strictObject({
    sender: z.string().max(64),
    rule: z.string().max(64),
    counts: z.string().regex(/^[\w-]{16}\.\d{1,12}\.\d{1,15}(?: [\w-]{16}\.\d{1,12}\.\d{1,15})*$/),
  }),
]);

/**
 * Shares counts over a bus. One round tells at most 2,400 counts, those nearest to their limits first, in at most 20 messages, however many requests
 * there were.
 */
export function rateGossip<Name extends string>(bus: Bus, counts: RateCounts<Name>): RateGossip {
  const self = randomUUID();
  let asks = true;

  const unsubscribe = bus.subscribe(TOPIC, {
    message: (payload) => {
      const { success, data } = message.safeParse(parseJson(payload));
      // A newer version may say it in another way; its processes and this one then count apart.
      if (!success || data.sender === self) return;
      if ('again' in data) counts.tellAgain();
      else counts.merge(data.sender, { rule: data.rule, counts: decodeCounts(data.counts) });
    },
    // The others do not know what did not arrive here.
    missed: () => {
      asks = true;
    },
  });

  async function round(): Promise<void> {
    if (!bus.listening()) return;
    if (asks) {
      asks = false;
      await publish({ sender: self, again: true });
    }
    const tallies = counts.untold(COUNTS_PER_MESSAGE * MESSAGES_PER_ROUND);
    for (const part of tallies.flatMap(parts)) await publish({ sender: self, rule: part.rule, counts: encodeCounts(part.counts) });
  }

  async function publish(content: z.infer<typeof message>): Promise<void> {
    try {
      await bus.publish(TOPIC, JSON.stringify(content));
    } catch (error) {
      counts.tellAgain();
      asks = true;
      throw error;
    }
  }

  return { round, stop: unsubscribe };
}

function parts({ rule, counts }: Tally): readonly Tally[] {
  const all: Tally[] = [];
  for (let start = 0; start < counts.length; start += COUNTS_PER_MESSAGE) all.push({ rule, counts: counts.slice(start, start + COUNTS_PER_MESSAGE) });
  return all;
}

/** Without quotes, each of which would be escaped on its way. */
function encodeCounts(counts: readonly Count[]): string {
  return counts.map((count) => count.join('.')).join(' ');
}

function decodeCounts(text: string): readonly Count[] {
  return text.split(' ').map((count) => {
    const [digest = '', window, points] = count.split('.');
    return [digest, Number(window), Number(points)];
  });
}
