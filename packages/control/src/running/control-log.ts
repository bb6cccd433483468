import type { Logger } from '@sallyport/gateway';
import { asSallyportError, type SallyportError } from '@sallyport/sdk';
import type { ServedRequest } from '../server/service-app.js';

/** The log of the control plane: lines of pino's shape, without tokens, names of objects, and messages that nobody has written for people. */
export interface ControlLog {
  /** One line for each request; `debug` for the probes that went well, which come all the time. */
  readonly request: (request: ServedRequest) => void;
  /** One line for something that went wrong in the background. */
  readonly trouble: (error: unknown, more?: Readonly<Record<string, string | undefined>>) => void;
}

const PROBES: ReadonlySet<string> = new Set(['/ping', '/healthz', '/readyz', '/metrics']);
const FRAMES = 8;

/** Writes to this logger. */
export function controlLog(logger: Logger): ControlLog {
  return {
    request({ error, requestId, actorId, milliseconds, ...request }) {
      const fields = { ...request, request_id: requestId, actor_id: actorId, duration_ms: Math.round(milliseconds * 10) / 10 };
      if (error !== undefined) logger[error.code === 'internal_error' ? 'error' : 'warn']({ ...fields, ...described(error) }, 'request');
      else if (request.status < 400 && PROBES.has(request.route ?? '')) logger.debug(fields, 'request');
      else logger.info(fields, 'request');
    },
    trouble(thrown, more = {}) {
      const error = asSallyportError(thrown);
      logger.warn({ ...described(error), hint: error.hint, ...more }, error.message);
    },
  };
}

/** The message of what nobody expected may hold anything, so it is told by its kind and where it comes from. */
function described({ code, cause }: SallyportError): object {
  if (!(cause instanceof Error)) return { code };
  const sub = 'code' in cause && typeof cause.code === 'string' && /^\w{1,40}$/.test(cause.code) ? { cause_code: cause.code } : {};
  if (code !== 'internal_error') return { code, cause: cause.name, ...sub };
  const frames = (cause.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return { code, cause: cause.name, ...sub, frames: frames.slice(0, FRAMES).map((line) => line.trim()) };
}
