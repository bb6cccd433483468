import { randomFillSync } from 'node:crypto';

const SPAN_BYTES = 8;
const POOL_SPANS = 512;

/** Makes ids of spans: 16 hexadecimal digits, not all zero. Random bytes are fetched for many at a time, since each fetch costs more than an id. */
export function spanIds(): () => string {
  const pool = Buffer.alloc(SPAN_BYTES * POOL_SPANS);
  let used = pool.length;
  return () => {
    for (;;) {
      if (used === pool.length) {
        randomFillSync(pool);
        used = 0;
      }
      const id = pool.toString('hex', used, used + SPAN_BYTES);
      used += SPAN_BYTES;
      if (id !== '0000000000000000') return id;
    }
  };
}
