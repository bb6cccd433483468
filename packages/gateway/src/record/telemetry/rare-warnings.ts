import type { Logger } from '../logger.js';

/** Says that something keeps failing without saying it each time. */
export interface RareWarnings {
  /** It failed; `reason` must hold no secret. */
  failed(reason: string): void;
  /** It worked. */
  worked(): void;
}

/** At most one line in this time while it fails. Milliseconds. */
const PAUSE = 300_000;
const LONGEST = 300;

/** `what` begins the sentences: `The export of traces`. */
export function rareWarnings(logger: Logger, what: string): RareWarnings {
  let failures = 0;
  let said = Number.NEGATIVE_INFINITY;
  return {
    failed(reason) {
      failures++;
      const now = performance.now();
      if (now - said < PAUSE) return;
      said = now;
      logger.warn({ failures, reason: reason.slice(0, LONGEST) }, `${what} fails; requests are not affected`);
    },
    worked() {
      if (failures > 0) logger.info({ failures }, `${what} works again`);
      failures = 0;
      said = Number.NEGATIVE_INFINITY;
    },
  };
}
