import { close as closeDescriptor, constants, fstatSync, openSync, write } from 'node:fs';
import { isatty } from 'node:tty';
import { SallyportError } from '@sallyport/sdk';

/** Where log lines go: an open file descriptor (1 is standard output), or a file that is appended to and made with mode 0600. */
export type LogDestination = { readonly fd: number } | { readonly file: string };

/** What a log writer tells about itself. Neither callback may throw. */
export interface LogWriterEvents {
  /** Everything handed over is written. */
  onIdle(): void;
  /** So many lines will not be written. */
  onLost(lines: number): void;
  /** Writing failed: for good when `final`, otherwise it is tried again by itself. */
  onFailure(final: boolean): void;
}

/** Writes text to one descriptor, in order, one write at a time, without ever blocking or throwing. */
export interface LogWriter {
  /** Nothing is waiting and nothing is on its way. */
  readonly idle: boolean;
  /** Takes some whole lines; `ascii` promises that they are nothing else. What does not fit into the bound, or comes too late, is reported as lost. */
  write(text: string, lines: number, ascii?: boolean): void;
  /** Gives up what is not written, reports it as lost and closes the descriptor if it was opened here. */
  close(): void;
}

/** The most characters that may wait behind the write that is on its way. */
const MOST_WAITING = 1024 * 1024;

/** Room for the usual write, at three bytes of UTF-8 for a character. */
const BUFFER_SIZE = 256 * 1024;

/** The destination is full: asked again soon at first, then less often. Milliseconds. */
const FIRST_PAUSE = 1;
const LONGEST_PAUSE = 64;

/** The destination failed in a way that may pass, such as a full disk. Milliseconds. */
const RETRY = 500;

/** Nobody is there any more who could read: trying again cannot help. */
const FINAL_CODES: ReadonlySet<string> = new Set(['EPIPE', 'EBADF', 'EINVAL', 'ECONNRESET', 'ENXIO']);

/**
 * Opens the destination for writing. Errors: `config_invalid` when the file cannot be opened.
 *
 * This is done here rather than by pino's own stream because that one lets a reader who stopped reading hold a thread of the pool in a blocking
 * write. A process with such a thread cannot exit, and four of them stop every file and DNS operation.
 */
export function openLogWriter(destination: LogDestination, events: LogWriterEvents): LogWriter {
  const { descriptor, opened } = openDescriptor(destination);
  // Used again for every write, of which there is never more than one.
  const bytes = Buffer.allocUnsafeSlow(BUFFER_SIZE);
  let waiting: string[] = [];
  let waitingSize = 0;
  let waitingLines = 0;
  let waitingAscii = true;
  let current: Buffer | null = null;
  let currentLines = 0;
  let offset = 0;
  let pause = FIRST_PAUSE;
  let timer: NodeJS.Timeout | undefined;
  let writing = false;
  let closed = false;

  function begin(): void {
    const text = waiting.join('');
    // A copy of the characters is several times as fast as encoding them.
    const encoding = waitingAscii ? 'latin1' : 'utf8';
    current = text.length * 3 > BUFFER_SIZE ? Buffer.from(text, encoding) : bytes.subarray(0, bytes.write(text, encoding));
    currentLines = waitingLines;
    offset = 0;
    waiting = [];
    waitingSize = 0;
    waitingLines = 0;
    waitingAscii = true;
    writeOn();
  }

  function writeOn(): void {
    timer = undefined;
    if (current === null) return;
    writing = true;
    write(descriptor, current, offset, current.length - offset, null, written);
  }

  function written(error: NodeJS.ErrnoException | null, count: number): void {
    writing = false;
    if (closed) {
      release();
    } else if (error !== null) {
      failed(error);
    } else {
      pause = FIRST_PAUSE;
      offset += count;
      if (current !== null && offset < current.length) writeOn();
      else finished();
    }
  }

  function finished(): void {
    current = null;
    currentLines = 0;
    if (waitingLines > 0) begin();
    else events.onIdle();
  }

  function failed(error: NodeJS.ErrnoException): void {
    if (error.code === 'EAGAIN') {
      timer = setTimeout(writeOn, pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE);
      return;
    }
    const final = FINAL_CODES.has(error.code ?? '');
    if (final) close();
    else timer = setTimeout(writeOn, RETRY);
    events.onFailure(final);
  }

  function close(): void {
    if (closed) return;
    closed = true;
    clearTimeout(timer);
    const lost = currentLines + waitingLines;
    waiting = [];
    current = null;
    currentLines = 0;
    waitingLines = 0;
    if (lost > 0) events.onLost(lost);
    if (!writing) release();
  }

  /** Not while a write is on its way: the number of the descriptor could be given to another file meanwhile. */
  function release(): void {
    if (opened) closeDescriptor(descriptor, ignoreFailure);
  }

  return {
    get idle() {
      return current === null && waitingLines === 0;
    },
    write(text, lines, ascii = false) {
      if (closed || waitingSize + text.length > MOST_WAITING) {
        events.onLost(lines);
        return;
      }
      waiting.push(text);
      waitingAscii &&= ascii;
      waitingSize += text.length;
      waitingLines += lines;
      if (current === null) begin();
    },
    close,
  };
}

/** Whatever closing complains about, there is nothing left that could be written. */
function ignoreFailure(): void {}

const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK | constants.O_NOCTTY;

function openDescriptor(destination: LogDestination): { descriptor: number; opened: boolean } {
  if ('fd' in destination) return nonBlocking(destination.fd);
  try {
    return { descriptor: openSync(destination.file, APPEND | constants.O_CREAT, 0o600), opened: true };
  } catch (cause) {
    throw new SallyportError('config_invalid', {
      detail: `The log file ${destination.file} cannot be opened: ${cause instanceof Error ? cause.message : String(cause)}.`,
      hint: 'Name a file in a directory that exists and that the gateway may write to.',
      cause,
    });
  }
}

/**
 * The same pipe or terminal opened once more, so that not waiting is a property of ours alone: on the descriptor itself it would hold for every
 * program that shares it. Files are left as they are, because a second opening would write at a place of its own; sockets cannot be opened.
 */
function nonBlocking(fd: number): { descriptor: number; opened: boolean } {
  try {
    if (fstatSync(fd).isFIFO() || isatty(fd)) return { descriptor: openSync(`/proc/self/fd/${fd}`, APPEND), opened: true };
  } catch {
    // Not Linux, or the pipe belongs to another user: the descriptor as it is still writes, and only a reader that stops can make it wait.
  }
  return { descriptor: fd, opened: false };
}
