import { Socket } from 'node:net';

/** What libuv would allocate for every read. */
const SCRATCH = 65_536;

/** The one buffer that all sockets of this process that read directly read into: each read is dealt with before the next one begins. */
const scratch = Buffer.allocUnsafeSlow(SCRATCH);

/** Takes `bytes[0, length)`, which are only there until it returns. */
export type DirectRead = (bytes: Buffer, length: number) => void;

/** Where Node keeps the `onread` option of a socket. It can be given when a socket is opened, but not for one that was accepted. */
interface OnreadSymbols {
  readonly buffer: symbol;
  readonly callback: symbol;
}

type Internals = Socket & { readonly _handle?: { useUserBuffer?(buffer: Uint8Array): void } | null } & Record<symbol, unknown>;

const symbols = findSymbols();
let enabled = true;

/** Whether this Node lets accepted sockets read directly; what follows works without it, at the cost of one allocation for every read. */
export const directReadsSupported = symbols !== null;

/** Turns direct reads off and on for sockets that are taken from then on, so that tests go both ways. */
export function allowDirectReads(on: boolean): void {
  enabled = on;
}

/**
 * From now on the socket reads into memory that is reused, and hands it to `onRead` instead of emitting `data`. False when this Node does not offer
 * that, or when bytes have been read already that are still to be emitted: then nothing has changed.
 */
export function readDirectly(socket: Socket, onRead: DirectRead): boolean {
  const internals = socket as Internals;
  if (symbols === null || !enabled || socket.readableLength > 0 || typeof internals._handle?.useUserBuffer !== 'function') return false;
  const already = internals[symbols.buffer] === scratch;
  internals[symbols.buffer] = scratch;
  internals[symbols.callback] = (length: number): boolean => {
    onRead(scratch, length);
    return true;
  };
  if (!already) internals._handle.useUserBuffer(scratch);
  return true;
}

/** From now on the socket emits `data` again. There is no way back below that: what it reads is copied into its stream. */
export function readIndirectly(socket: Socket): void {
  const internals = socket as Internals;
  if (symbols === null || internals[symbols.buffer] !== scratch) return;
  internals[symbols.callback] = (length: number): boolean => socket.push(Buffer.from(scratch.subarray(0, length)));
}

/** `bytes[start, end)` in memory that nobody reads into. */
export function ownBytes(bytes: Buffer, start: number, end: number): Buffer {
  const part = bytes.subarray(start, end);
  return bytes.buffer === scratch.buffer ? Buffer.from(part) : part;
}

function findSymbols(): OnreadSymbols | null {
  const socket = new Socket();
  const named = (description: string): symbol | undefined =>
    Object.getOwnPropertySymbols(socket).find((candidate) => candidate.description === description);
  const buffer = named('kBuffer');
  const callback = named('kBufferCb');
  // Without this one a Node that works otherwise would hand out something else than is expected here.
  const generator = named('kBufferGen');
  socket.destroy();
  return buffer === undefined || callback === undefined || generator === undefined ? null : { buffer, callback };
}
