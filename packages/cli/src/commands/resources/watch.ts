import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_PAUSE = 200;
const LONGEST_PAUSE = 2000;

/** Asks again and again, ever more slowly, until the answer is true. */
export async function poll(ask: () => Promise<boolean>): Promise<void> {
  for (let pause = FIRST_PAUSE; !(await ask()); pause = Math.min(LONGEST_PAUSE, pause * 1.5)) await sleep(pause);
}
