import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { allowDirectReads, directReadsSupported, ownBytes, readDirectly, readIndirectly } from './direct-reads.js';

let server: Server;
let peer: Socket;
let accepted: Socket;

beforeEach(async () => {
  server = createServer({ allowHalfOpen: true });
  const connection = once(server, 'connection');
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  peer = connect((server.address() as AddressInfo).port, '127.0.0.1');
  [accepted] = (await connection) as [Socket];
});

afterEach(async () => {
  allowDirectReads(true);
  peer.destroy();
  accepted.destroy();
  server.close();
  await once(server, 'close');
});

test('this Node supports direct reads: if a new one does not, the fallback is in use, and bench/README.md says what that costs', () => {
  expect(directReadsSupported).toBe(true);
});

describe('an accepted socket', () => {
  test('reads into memory that is reused, and says when the peer has ended', async () => {
    const seen: Buffer[] = [];
    const texts: string[] = [];
    expect(
      readDirectly(accepted, (bytes, length) => {
        seen.push(bytes);
        texts.push(bytes.toString('latin1', 0, length));
        accepted.write('.');
      }),
    ).toBe(true);
    accepted.on('data', () => texts.push('as an event'));
    accepted.resume();
    for (const text of ['one', 'two']) {
      peer.write(text);
      await once(peer, 'data');
    }
    const ended = once(accepted, 'end');
    peer.end();
    await ended;
    expect(texts).toEqual(['one', 'two']);
    expect(seen[0]).toBe(seen[1]);
  });

  test('emits what was read before as it would have, and reads on in that way', async () => {
    accepted.pause();
    accepted.read(0);
    peer.write('early');
    while (accepted.readableLength === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(readDirectly(accepted, () => expect.unreachable())).toBe(false);
    const data = once(accepted, 'data');
    accepted.resume();
    expect(String((await data)[0])).toBe('early');
  });

  test('stays as it is where direct reads are not to be had', () => {
    allowDirectReads(false);
    expect(readDirectly(accepted, () => expect.unreachable())).toBe(false);
    expect(readDirectly(new Socket(), () => expect.unreachable())).toBe(false);
  });

  test('goes back to events in memory of its own, pauses, and goes direct again', async () => {
    const direct: string[] = [];
    const take = (bytes: Buffer, length: number): void => {
      direct.push(bytes.toString('latin1', 0, length));
      accepted.write('.');
    };
    readDirectly(accepted, take);
    accepted.resume();
    peer.write('first');
    await once(peer, 'data');
    accepted.pause();
    readIndirectly(accepted);
    const events: Buffer[] = [];
    accepted.on('data', (chunk: Buffer) => events.push(chunk));
    peer.write('second');
    const data = once(accepted, 'data');
    accepted.resume();
    await data;
    const later = once(accepted, 'data');
    peer.write('third');
    await later;
    expect(events.map(String)).toEqual(['second', 'third']);
    expect(readDirectly(accepted, take)).toBe(true);
    peer.write('fourth');
    await once(peer, 'data');
    expect(direct).toEqual(['first', 'fourth']);
    expect(events.map(String)).toEqual(['second', 'third']);
  });
});

test('bytes are copied only when they lie where the next read goes', async () => {
  const own = Buffer.from('mine');
  expect(ownBytes(own, 1, 3).buffer).toBe(own.buffer);
  let kept: Buffer = own;
  let there: Buffer = own;
  readDirectly(accepted, (bytes, length) => {
    kept = ownBytes(bytes, 0, length);
    there = bytes;
    accepted.write('.');
  });
  accepted.resume();
  peer.write('borrowed');
  await once(peer, 'data');
  there.fill(0, 0, 8);
  expect(String(kept)).toBe('borrowed');
});
