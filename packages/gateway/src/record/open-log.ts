import { createEventLog, type EventLog, type EventLogOptions } from './event-log.js';

/** The operational log alone, for a process that has no gateway in it. Errors as those of `createEventLog`. */
export function openLog(options: Pick<EventLogOptions, 'destination' | 'level'>): Pick<EventLog, 'logger' | 'close'> {
  return createEventLog({ ...options, maxQueue: 1 });
}
