import { SallyportError } from '@sallyport/sdk';
import type { Passage } from './passage.js';

/**
 * Sends an exchange to a forward target instead of its own: with the door that forwards, the context fields, and the credential of the target.
 * Throws `forward_target_unknown`.
 */
export function route(passage: Passage, name: string): void {
  const destination = passage.runtime.forwardTargets.get(name);
  if (destination === undefined) {
    throw new SallyportError('forward_target_unknown', {
      detail: `the route leads to the forward target ${JSON.stringify(name)}, which is not configured`,
      members: { forward_target: name },
    });
  }
  const { exchange } = passage;
  passage.destination = destination;
  passage.door = passage.door.forwarding ?? passage.door;
  passage.injectedLines = destination.lines;
  passage.injectedNames = destination.injectedHeaders;
  passage.placedValues = destination.values;
  exchange.route = 'forward';
  exchange.forwardTarget = name;
  exchange.credential = `forward ${name}`;
  exchange.injectedHeaders = destination.injectedHeaders;
  exchange.secrets = destination.secrets;
}
