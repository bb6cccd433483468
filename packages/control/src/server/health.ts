import { z } from 'zod';
import { type Operation, operation, type ServiceName } from './operation.js';

/** What a service stands on, by the name it has in the answer: each resolves when it works. */
export type HealthChecks = Readonly<Record<string, (signal: AbortSignal) => Promise<unknown>>>;

/** What the health of a process is told by. */
export interface HealthRoutes {
  readonly healthChecks: HealthChecks;
  /** True as soon as the process has begun to stop: it still works, and wants no new requests. */
  readonly stopping: () => boolean;
}

const BUDGET_MS = 1_000;
const everywhere: readonly ServiceName[] = ['public', 'api', 'admin-api', 'worker'];
const healthSchema = z
  .looseObject({ service: z.string(), ok: z.boolean() })
  .meta({ id: 'Health', description: 'Whether the service works, and of each thing it stands on whether that does.' });

/** `/ping` says that the process is there, `/healthz` that what it stands on works, `/readyz` that it wants requests. */
export function healthOperations({ healthChecks, stopping }: HealthRoutes): readonly Operation[] {
  const common = { services: everywhere, tag: 'health', access: 'anyone' as const, unthrottled: true, method: 'GET' as const, status: 200 as const };

  async function look(service: string, signal: AbortSignal): Promise<{ service: string; ok: boolean }> {
    const late = new AbortController();
    // Not AbortSignal.timeout: Node 20 collects one that nothing but AbortSignal.any refers to, and then it never aborts.
    const timer = setTimeout(() => late.abort(), BUDGET_MS);
    const within = AbortSignal.any([signal, late.signal]);
    const results = await Promise.all(Object.entries(healthChecks).map(async ([name, check]) => [name, await works(check, within)] as const));
    clearTimeout(timer);
    return { service, ok: results.every(([, ok]) => ok), ...Object.fromEntries(results) };
  }

  return [
    operation({
      ...common,
      name: 'ping',
      path: '/ping',
      summary: 'The process is there',
      result: z.object({ service: z.string(), message: z.literal('pong') }),
      handle: async ({ service }) => ({ body: { service, message: 'pong' as const } }),
    }),
    operation({
      ...common,
      name: 'getHealth',
      path: '/healthz',
      summary: 'What the service stands on works; 503 when something does not',
      result: healthSchema,
      handle: async ({ service, signal }) => {
        const body = await look(service, signal);
        return body.ok ? { body } : { body, status: 503 };
      },
    }),
    operation({
      ...common,
      name: 'getReadiness',
      path: '/readyz',
      summary: 'The service wants requests; 503 while it does not',
      result: healthSchema,
      handle: async ({ service, signal }) => {
        const body = { ...(await look(service, signal)), stopping: stopping() };
        return body.ok && !body.stopping ? { body } : { body: { ...body, ok: false }, status: 503 };
      },
    }),
  ];
}

/** A check that hangs has failed when the time is over, whether or not it listens to the signal. */
async function works(check: HealthChecks[string], signal: AbortSignal): Promise<boolean> {
  const late = new Promise<false>((resolve) => signal.addEventListener('abort', () => resolve(false), { once: true }));
  return await Promise.race([
    late,
    check(signal).then(
      () => true,
      () => false,
    ),
  ]);
}
