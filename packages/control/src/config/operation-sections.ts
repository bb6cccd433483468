import { configValues, type ValueContext } from '@sallyport/gateway';
import { z } from 'zod';
import type { RateRule } from '../coordination/rate-rule.js';

const { duration, durationOrOff, integer, oneOf, path, readableFile, secretValue } = configValues;

const DAY = 86_400_000;
const WEEK = 7 * DAY;
const LONGEST_KEPT = 3_650 * DAY;
const REDIS = /^rediss?:\/\/[^\s/?#]+/;

/** Redis, which several processes share counters and news through. */
export function redisSection(context: ValueContext) {
  return z
    .strictObject({
      url: secretValue(context, 'the URL', (written) =>
        REDIS.test(written) && URL.canParse(written) ? null : 'expected a URL such as rediss://USER:PASSWORD@HOST:PORT',
      ).describe('`rediss://USER:PASSWORD@HOST:PORT/DATABASE`, or `redis://` without TLS.'),
      ca: readableFile(context).optional().describe('PEM file with the authorities of the server; those of the system when left out.'),
      prefix: z
        .string({ error: 'expected a word' })
        .regex(/^[A-Za-z0-9_.-]{1,64}$/, 'expected up to 64 letters, digits, ".", "_" and "-"')
        .prefault('sallyport')
        .describe('Begins every key, so that several installations can share one server.'),
    })
    .describe('Redis, for rate limits and news among processes; left out, they go through the database.');
}

/** Where Redis is. */
export type RedisConfig = z.output<ReturnType<typeof redisSection>>;

/** How often the endpoints of the control plane itself may be called. */
export function rateLimitsSection() {
  return z
    .strictObject({
      actor: rateRule('1200', 'By one actor.'),
      address: rateRule('300', 'From one address, by nobody in particular.'),
      failed_authentication: rateRule('20', 'From one address with credentials that are wrong.'),
    })
    .prefault({})
    .describe('How often the endpoints of the control plane itself may be called.');
}

function rateRule(requests: string, meaning: string) {
  return z
    .strictObject({
      requests: integer(1, 1_000_000_000).prefault(Number(requests)).describe('Requests in one window.'),
      per: duration(WEEK)
        .refine((milliseconds) => milliseconds % 1_000 === 0, 'expected whole seconds')
        .prefault('1m')
        .describe('How long a window is.'),
    })
    .transform(({ requests: limit, per }): RateRule => ({ limit, windowSeconds: per / 1_000 }))
    .prefault({})
    .describe(meaning);
}

/** The work in the background. */
export function tasksSection() {
  return z
    .strictObject({
      concurrency: integer(1, 1_000).prefault(4).describe('Tasks that one process works on at the same time.'),
      retention: duration(LONGEST_KEPT).prefault('7d').describe('How long a task is kept that is done or was cancelled.'),
      dead_retention: duration(LONGEST_KEPT).prefault('90d').describe('How long a task is kept that has failed for good.'),
    })
    .prefault({})
    .describe('The work in the background.');
}

/** How long things are kept. */
export function retentionSection() {
  return z
    .strictObject({
      soft_deleted: duration(LONGEST_KEPT).prefault('30d').describe('How long what was deleted is kept.'),
      idempotency_keys: duration(30 * DAY)
        .prefault('1d')
        .describe('How long the answer to a request with an idempotency key is kept.'),
      audit: durationOrOff(LONGEST_KEPT).prefault('off').describe('How long the audit trail is kept; `off` for ever.'),
    })
    .prefault({})
    .describe('How long things are kept.');
}

/** The log of the control plane. */
export function logSection(context: ValueContext) {
  return z
    .strictObject({
      level: oneOf(['debug', 'info', 'warn', 'error', 'silent']).prefault('info').describe('The least important lines that are written.'),
      file: path(context).optional().describe('File that log lines are appended to; standard output when left out.'),
    })
    .prefault({})
    .describe('The log.');
}

/** The end of a process. */
export function shutdownSection() {
  return z
    .strictObject({ drain: duration().prefault('30s').describe('How long requests and tasks in hand may take to finish.') })
    .prefault({})
    .describe('What happens on SIGTERM.');
}
