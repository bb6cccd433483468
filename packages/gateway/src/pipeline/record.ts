import type { Recorder } from '../record/recorder.js';
import type { Passage } from './passage.js';

/** Writes down what happened, once for every exchange, however it ended; nobody waits for it. */
export function record(passage: Passage, recorder: Recorder): void {
  recorder.record(passage.exchange);
}
