import { type MutableBody, SallyportError } from '@sallyport/sdk';
import { invalid, kindOf } from './field-rules.js';

/** Reads a whole body. Rejects with `body_too_large` when it is longer than `limit` bytes, and with whatever else keeps it from arriving. */
export type ReadBody = (limit: number) => Promise<Uint8Array>;

/** The body of a message on the gateway's side: read at most once, when a plugin asks for it, and kept so that it can still be sent. */
export interface HeldBody {
  readonly read: () => Promise<Uint8Array>;
  /** What was read; null when nobody asked. Settles with a read that is under way, and rejects when it failed: then there is no body to send. */
  settled(): Promise<Uint8Array> | null;
  /** From now on no read begins: the call is over, and the connection may be carrying another request. */
  close(): void;
}

/** Holds what `readBody` delivers, at most `limit` bytes: more is `body_too_large`, whoever counted. */
export function holdBody(readBody: ReadBody, limit: number): HeldBody {
  let reading: Promise<Uint8Array> | null = null;
  let closed = false;
  const read = async (): Promise<Uint8Array> => {
    if (closed) throw new SallyportError('plugin_failed', { detail: 'the body was asked for after the call was over' });
    const bytes = await readBody(limit);
    if (bytes.length > limit) throw new SallyportError('body_too_large', { detail: `the body is longer than ${limit} bytes (limits.plugin_body)` });
    return bytes;
  };
  return {
    read: () => {
      if (reading === null) {
        reading = read();
        // The plugin may have stopped waiting for it.
        reading.catch(() => {});
      }
      return reading;
    },
    settled: () => reading,
    close() {
      closed = true;
    },
  };
}

/** The body that a plugin gets. */
export interface PluginBody extends MutableBody {
  /** What the plugin put in the body's place; null when it left it. */
  replacement(): Uint8Array | null;
  /** From now on nothing can take its place: the call is over. */
  seal(): void;
}

/** A body over `read`, with replacements of at most `limit` bytes. Every caller of `bytes` gets a copy: what it does to it is not sent. */
export function pluginBody(read: () => Promise<Uint8Array>, limit: number): PluginBody {
  let replacement: Uint8Array | null = null;
  let sealed = false;
  return {
    bytes() {
      const copy = replacement === null ? read().then((bytes) => new Uint8Array(bytes)) : Promise.resolve(new Uint8Array(replacement));
      // A plugin that forgets this promise must not end the process with it.
      copy.catch(() => {});
      return copy;
    },
    replace(bytes) {
      if (sealed) return;
      const text = typeof bytes === 'string';
      if (!text && !(bytes instanceof Uint8Array)) throw invalid(`a body was replaced by ${kindOf(bytes)}; give a Uint8Array or a text`, 'body');
      const copy = text ? new Uint8Array(Buffer.from(bytes, 'utf8')) : new Uint8Array(bytes);
      if (copy.length > limit) throw invalid(`a body was replaced by ${copy.length} bytes; ${limit} are allowed (limits.plugin_body)`, 'body');
      replacement = copy;
    },
    replacement: () => replacement,
    seal() {
      sealed = true;
    },
  };
}
