import type { Exchange } from '../exchange.js';
import { fieldId } from '../wire/field-names.js';
import type { ServerConnection } from '../wire/server-connection.js';
import { choiceFields } from './forward-door.js';
import type { TargetUrl } from './target-url.js';

const choiceField = fieldId(choiceFields.own);
const clefChoiceField = fieldId(choiceFields.clef);

/** Which credential the client asks for by name; null when it does not. */
export function chosenCredential(connection: ServerConnection): string | null {
  return connection.head.value(choiceField) ?? connection.head.value(clefChoiceField);
}

/** Marks a request that asks to be upgraded to a WebSocket (RFC 6455 §4.1). Any other upgrade is not passed on. */
export function noteUpgrade(exchange: Exchange, { head, body }: ServerConnection): void {
  if (head.upgradeWebSocket && head.connectionUpgrade && head.minorVersion === 1 && exchange.method === 'GET' && body.done) exchange.kind = 'upgrade';
}

/** Writes a target into an exchange. */
export function setTarget(exchange: Exchange, target: TargetUrl): void {
  exchange.scheme = target.scheme;
  exchange.host = target.host.text;
  exchange.port = target.port;
  exchange.path = target.path;
  exchange.query = target.query;
}
