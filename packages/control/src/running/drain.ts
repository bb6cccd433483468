import type { TaskRunner } from '../tasks/runner.js';
import type { ListeningService } from './listening-service.js';

/** What has work in hand. */
export interface Busy {
  readonly services: readonly Pick<ListeningService, 'drain'>[];
  readonly runner: TaskRunner | undefined;
}

/**
 * Lets requests and tasks in hand finish for this long, or until `hurry` aborts; then connections are cut and tasks are told to end. All of it has
 * ended when this settles; it rejects with the first failure.
 */
export async function drain({ services, runner }: Busy, drainMs: number, hurry: AbortSignal | undefined): Promise<void> {
  const over = new AbortController();
  const end = (): void => over.abort();
  // A timer, because a signal of AbortSignal.timeout that nothing but AbortSignal.any refers to is collected before it aborts.
  const timer = setTimeout(end, drainMs);
  hurry?.addEventListener('abort', end, { once: true });
  if (hurry?.aborted === true) end();
  const ended = await Promise.allSettled([...services.map((service) => service.drain(over.signal)), stopTasks(runner, drainMs, over.signal)]);
  clearTimeout(timer);
  hurry?.removeEventListener('abort', end);
  for (const outcome of ended) if (outcome.status === 'rejected') throw outcome.reason as unknown;
}

async function stopTasks(runner: TaskRunner | undefined, drainMs: number, over: AbortSignal): Promise<void> {
  if (runner === undefined) return;
  const again = new Promise<void>((resolve, reject) => {
    const hurry = (): void => void runner.stop({ drainMs: 0 }).then(() => resolve(), reject);
    if (over.aborted) hurry();
    else over.addEventListener('abort', hurry, { once: true });
  });
  // Told to stop twice, it waits no longer than it was told last.
  await Promise.race([over.aborted ? again : runner.stop({ drainMs }).then(() => undefined), again]);
}
