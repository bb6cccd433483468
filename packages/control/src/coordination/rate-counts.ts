import { LRUCache } from 'lru-cache';
import { digestKey, type RateAnswer, type RateRule, type RateRules } from './rate-rule.js';

/** What one process has counted for some keys of a rule: `[digest, window, points]`. */
export interface Tally {
  readonly rule: string;
  readonly counts: readonly Count[];
}

export type Count = readonly [digest: string, window: number, points: number];

/** The counts of one process, and what the other processes have told it of theirs. */
export interface RateCounts<Name extends string> {
  /** Adds the points, also when that is too many, and answers whether it was. */
  charge(rule: Name, key: string, points: number): RateAnswer;
  /** What a charge of this many points would be answered. */
  check(rule: Name, key: string, points: number): RateAnswer;
  /** At most this many counts that the others do not know yet, those nearest to their limit first. They are told from now on, unless `tellAgain`. */
  untold(most: number): readonly Tally[];
  /** Everything counts as not told yet. */
  tellAgain(): void;
  /** Takes in what another process has counted. To hear it twice, or late, changes nothing. */
  merge(sender: string, tally: Tally): void;
}

export interface RateCountsOptions<Name extends string> {
  readonly rules: RateRules<Name>;
  /** The keys that were not used for the longest time go when there are more. */
  readonly maxKeys: number;
  readonly now?: () => number;
}

interface Entry {
  readonly rule: string;
  window: number;
  own: number;
  /** What of `own` the others have been told. */
  told: number;
  /** By process, because each tells its sum and not what was added: a message that is lost is repaired by the next. */
  others: Map<string, number>;
  /** From processes that are not told apart any more. */
  folded: number;
}

/** Who is started again and again is another sender each time. */
const MAX_SENDERS = 64;

/** Counts in fixed windows, which begin at the same time in all processes and at another time for each key. */
export function createRateCounts<Name extends string>({ rules, maxKeys, now = Date.now }: RateCountsOptions<Name>): RateCounts<Name> {
  const untoldEntries = new Set<string>();
  const entries = new LRUCache<string, Entry>({ max: maxKeys, dispose: (_entry, digest) => void untoldEntries.delete(digest) });
  const ruleOf = new Map<string, RateRule>(Object.entries<RateRule>(rules));

  function entryAt(rule: string, digest: string, window: number): Entry {
    const known = entries.get(digest);
    if (known === undefined) {
      const made: Entry = { rule, window, own: 0, told: 0, others: new Map(), folded: 0 };
      entries.set(digest, made);
      return made;
    }
    // A clock that went back a little does not begin a window anew; one that went back far would never get to the window that is there.
    if (window > known.window || window < known.window - 1) Object.assign(known, { window, own: 0, told: 0, others: new Map(), folded: 0 });
    return known;
  }

  function answer({ limit, windowSeconds }: RateRule, entry: Entry, used: number, digest: string): RateAnswer {
    const end = (entry.window + 1) * windowSeconds * 1000 - offsetOf(digest, windowSeconds);
    return { allowed: used <= limit, limit, remaining: Math.max(0, limit - used), resetMs: Math.max(0, end - now()) };
  }

  function find(name: Name, key: string): { rule: RateRule; digest: string; entry: Entry } {
    const rule = rules[name];
    const digest = digestKey(name, key);
    return { rule, digest, entry: entryAt(name, digest, windowAt(rule, digest, now())) };
  }

  function charge(name: Name, key: string, points: number): RateAnswer {
    const { rule, digest, entry } = find(name, key);
    // Nobody needs to hear of more than what is too much already.
    if (entry.own <= rule.limit) {
      entry.own += Math.min(points, rule.limit + 1);
      untoldEntries.add(digest);
    }
    return answer(rule, entry, totalOf(entry), digest);
  }

  function check(name: Name, key: string, points: number): RateAnswer {
    const { rule, digest, entry } = find(name, key);
    const used = totalOf(entry);
    return { ...answer(rule, entry, used, digest), allowed: used + points <= rule.limit };
  }

  function untold(most: number): readonly Tally[] {
    const found: { digest: string; entry: Entry; share: number }[] = [];
    for (const digest of untoldEntries) {
      // To look does not make a key one that was used.
      const entry = entries.peek(digest);
      const limit = entry && ruleOf.get(entry.rule)?.limit;
      if (entry === undefined || limit === undefined || entry.told === entry.own) untoldEntries.delete(digest);
      else found.push({ digest, entry, share: totalOf(entry) / limit });
    }
    if (found.length > most) found.sort((a, b) => b.share - a.share);
    const tallies = new Map<string, Count[]>();
    for (const { digest, entry } of found.slice(0, most)) {
      const counts = tallies.get(entry.rule) ?? [];
      tallies.set(entry.rule, counts);
      counts.push([digest, entry.window, entry.own]);
      entry.told = entry.own;
      untoldEntries.delete(digest);
    }
    return [...tallies].map(([rule, counts]) => ({ rule, counts }));
  }

  function tellAgain(): void {
    for (const [digest, entry] of entries.entries()) {
      if (entry.own === 0) continue;
      entry.told = 0;
      untoldEntries.add(digest);
    }
  }

  function merge(sender: string, { rule: name, counts }: Tally): void {
    const rule = ruleOf.get(name);
    // A process of another version may have other rules.
    if (rule === undefined) return;
    for (const [digest, window, points] of counts) {
      // The clocks of two processes differ a little. One that is far off must not move the windows of the others.
      const here = windowAt(rule, digest, now());
      if (Math.abs(window - here) > 1) continue;
      const known = entries.peek(digest);
      if (known !== undefined && known.window > window) continue;
      const entry = entryAt(name, digest, window);
      entry.others.set(sender, Math.max(points, entry.others.get(sender) ?? 0));
      fold(entry);
    }
  }

  return { charge, check, untold, tellAgain, merge };
}

function totalOf({ own, others, folded }: Entry): number {
  let total = own + folded;
  for (const points of others.values()) total += points;
  return total;
}

/** Too much is counted rather than too little should one that was folded speak again. */
function fold(entry: Entry): void {
  if (entry.others.size <= MAX_SENDERS) return;
  for (const [sender, points] of entry.others) {
    entry.folded += points;
    entry.others.delete(sender);
    return;
  }
}

function windowAt({ windowSeconds }: RateRule, digest: string, now: number): number {
  return Math.floor((now + offsetOf(digest, windowSeconds)) / (windowSeconds * 1000));
}

/** Spreads the beginnings of the windows, so that not all clients come back in the same moment. */
function offsetOf(digest: string, windowSeconds: number): number {
  return Buffer.from(digest, 'base64url').readUInt32BE(0) % (windowSeconds * 1000);
}
