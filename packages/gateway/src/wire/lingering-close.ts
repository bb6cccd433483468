import type { Socket } from 'node:net';
import { type Deadlined, deadlineIn, deadlines } from './deadlines.js';

const LINGER = 2_000;
const LINGER_BYTES = 1_048_576;

/** The connection that is being closed. */
export interface ClosingConnection {
  readonly socket: Socket;
  /** True while bytes that were written are not in the hands of the kernel. */
  readonly writePending: boolean;
  /** Ends the connection at once; with `reset` the client sees that what it has is not whole. */
  destroy(reset: boolean): void;
}

/**
 * Closes our half of a connection and reads what still comes for a moment (RFC 9112 §9.6): closing both at once could make the client's system throw
 * away a response that it has not read. The moment begins when the last byte has left: until then the client has the time of every slow reader.
 */
export class LingeringClose implements Deadlined {
  deadline: number;
  readonly #connection: ClosingConnection;
  #read = 0;

  /** `idle` is the time of a slow reader, milliseconds; 0 means no limit. */
  constructor(connection: ClosingConnection, idle: number) {
    this.#connection = connection;
    connection.socket.end();
    this.deadline = deadlineIn(connection.writePending ? idle : LINGER);
    if (connection.writePending) {
      connection.socket.once('finish', () => {
        this.deadline = deadlineIn(LINGER);
      });
    }
    deadlines.watch(this);
  }

  /** Passes over bytes that came too late; too many of them end the connection. */
  passOver(length: number): void {
    this.#read += length;
    if (this.#read > LINGER_BYTES) this.#connection.socket.destroy();
  }

  /** The connection is closed. */
  end(): void {
    deadlines.forget(this);
  }

  onDeadline(): void {
    this.#connection.destroy(this.#connection.writePending);
  }
}
