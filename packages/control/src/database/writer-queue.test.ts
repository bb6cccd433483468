import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createWriterQueue } from './writer-queue.js';

test('lets one at a time pass, in the order of asking, whoever gives up meanwhile', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 8 }), async (givesUp) => {
      const queue = createWriterQueue();
      const leaveFirst = await queue.enter();
      const order: number[] = [];
      let inside = 0;
      const waits = givesUp.map(async (gone, index) => {
        const abort = new AbortController();
        const turn = queue.enter(abort.signal);
        if (gone) abort.abort(new Error('gone'));
        const leave = await turn;
        inside += 1;
        expect(inside).toBe(1);
        order.push(index);
        await Promise.resolve();
        inside -= 1;
        leave();
        leave();
      });
      leaveFirst();
      await Promise.allSettled(waits);
      expect(order).toEqual(givesUp.flatMap((gone, index) => (gone ? [] : [index])));
      // Nobody has kept the turn.
      (await queue.enter())();
    }),
  );
});

test('refuses who has given up before asking', async () => {
  await expect(createWriterQueue().enter(AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
});
