/** How many asynchronous calls are under way at once: those that work in threads of the pool keep all of them busy. */
const atOnce = 16;
/** Calls between two looks at the clock. */
const batch = 64;

/** How long and how often a call is repeated. @typedef {{ rounds: number, roundMicros: number }} Effort */

/** @param {boolean} short @returns {Effort} */
export function effort(short) {
  return short ? { rounds: 3, roundMicros: 20_000 } : { rounds: 7, roundMicros: 100_000 };
}

/**
 * Nanoseconds of CPU time for one call, of all threads of this process, in the best of the rounds: whatever else runs on the machine only makes it more.
 * @param {() => void} work
 * @param {Effort} effort
 * @param {number} [calls] between two looks at the clock; few of what takes long
 */
export function nanosecondsOf(work, { rounds, roundMicros }, calls = batch) {
  const samples = [];
  // The first rounds are for the compiler.
  for (let round = -2; round < rounds; round++) {
    const before = process.cpuUsage();
    let [done, micros] = [0, 0];
    while (micros < roundMicros) {
      for (let i = 0; i < calls; i++) work();
      done += calls;
      micros = microsSince(before);
    }
    if (round >= 0) samples.push((micros * 1000) / done);
  }
  return Math.min(...samples);
}

/**
 * The same for calls that answer a promise.
 * @param {() => Promise<unknown>} work
 * @param {Effort} effort
 */
export async function nanosecondsOfAsync(work, { rounds, roundMicros }) {
  const samples = [];
  for (let round = -2; round < rounds; round++) {
    const before = process.cpuUsage();
    let [done, micros] = [0, 0];
    while (micros < roundMicros) {
      for (let i = 0; i < batch; i += atOnce) await Promise.all(Array.from({ length: atOnce }, work));
      done += batch;
      micros = microsSince(before);
    }
    if (round >= 0) samples.push((micros * 1000) / done);
  }
  return Math.min(...samples);
}

/** @param {NodeJS.CpuUsage} before */
function microsSince(before) {
  const { user, system } = process.cpuUsage(before);
  return user + system;
}
