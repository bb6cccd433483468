import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** The connections of a server over which no whole head has come yet. */
export interface UnheardConnections {
  /** A request has come over this connection. */
  readonly heard: (socket: Socket) => void;
  /** Ends those over which none has. */
  readonly end: () => void;
}

/**
 * Keeps count of the connections of a server that only wait, as browsers open them in advance. Node takes them for busy when a server closes, and would
 * wait for as long as their clients like. They are told apart by the other side's address, because over TLS a request names another socket than the
 * server has accepted.
 */
export function unheardConnections(server: Server): UnheardConnections {
  const waiting = new Map<string, Socket>();
  server.on('connection', (socket: Socket) => {
    const name = nameOf(socket);
    waiting.set(name, socket);
    socket.once('close', () => {
      if (waiting.get(name) === socket) waiting.delete(name);
    });
  });
  return {
    heard: (socket) => void waiting.delete(nameOf(socket)),
    end: () => {
      for (const socket of waiting.values()) socket.destroy();
    },
  };
}

function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
