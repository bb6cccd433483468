import { BACKSLASH, CR, EQUALS, fieldValue, hexDigit, LF, lowerToken, QUOTE, SEMICOLON } from './characters.js';

const State = {
  sizeFirst: 0,
  size: 1,
  extensionName: 2,
  extensionNameRest: 3,
  extensionValue: 4,
  extensionToken: 5,
  extensionQuoted: 6,
  extensionEscape: 7,
  extensionQuotedEnd: 8,
  sizeLf: 9,
  data: 10,
  dataCr: 11,
  dataLf: 12,
  trailers: 13,
  faulty: 14,
} as const;
type State = (typeof State)[keyof typeof State];

const SIZE_DIGITS = 13;
const EXTENSION_BYTES = 512;

/** Receives the content of chunks as ranges of the bytes that are being read. */
export type ChunkDataSink = (start: number, end: number) => void;

/**
 * Finds the end of a chunked body without touching its bytes (RFC 9112 §7.1). Strict: CR LF after every size and every chunk, sizes of at most
 * 13 hexadecimal digits, well-formed extensions of at most 512 bytes a chunk without white space. Works at every split of the input.
 */
export class ChunkedScanner {
  #state: State = State.sizeFirst;
  #size = 0;
  #digits = 0;
  #extensionBytes = 0;
  /** What is wrong, when it is. */
  fault = '';

  /** Starts over for the next body. */
  begin(): void {
    this.#state = State.sizeFirst;
    this.fault = '';
  }

  /** True once the last chunk has been read: what follows is the trailer section. */
  get atTrailers(): boolean {
    return this.#state === State.trailers;
  }

  /**
   * Reads on in `bytes[start, end)` and answers one past the last byte that belongs to the chunks; −1 with a `fault` when they are malformed.
   * With a sink, the content is handed out range by range.
   */
  read(bytes: Uint8Array, start: number, end: number, onData: ChunkDataSink | null): number {
    let state = this.#state;
    let p = start;
    while (p < end) {
      if (state === State.data) {
        const take = Math.min(this.#size, end - p);
        onData?.(p, p + take);
        p += take;
        this.#size -= take;
        if (this.#size === 0) state = State.dataCr;
        continue;
      }
      const byte = bytes[p];
      switch (state) {
        case State.sizeFirst:
        case State.size: {
          const digit = hexDigit[byte];
          if (digit !== 0) {
            if (state === State.sizeFirst) {
              this.#size = 0;
              this.#digits = 0;
              this.#extensionBytes = 0;
            }
            if (++this.#digits > SIZE_DIGITS) return this.#refuse('a chunk size of more than 13 digits');
            this.#size = this.#size * 16 + digit - 1;
            state = State.size;
          } else if (state === State.sizeFirst) return this.#refuse('a chunk without a size');
          else if (byte === CR) state = State.sizeLf;
          else if (byte === SEMICOLON) state = State.extensionName;
          else return this.#refuse('a character in a chunk size that may not be there');
          break;
        }
        case State.sizeLf:
          if (byte !== LF) return this.#refuse('a chunk size line that does not end in CR LF');
          if (this.#size === 0) {
            this.#state = State.trailers;
            return p + 1;
          }
          state = State.data;
          break;
        case State.dataCr:
          if (byte !== CR) return this.#refuse('a chunk that is longer than its size');
          state = State.dataLf;
          break;
        case State.dataLf:
          if (byte !== LF) return this.#refuse('a chunk that is longer than its size');
          state = State.sizeFirst;
          break;
        default:
          if (++this.#extensionBytes > EXTENSION_BYTES) return this.#refuse('chunk extensions of more than 512 bytes');
          state = nextInExtension(state, byte);
          if (state === State.faulty) return this.#refuse('a chunk extension that is not well-formed');
      }
      p++;
    }
    this.#state = state;
    return p;
  }

  #refuse(fault: string): number {
    this.fault = fault;
    return -1;
  }
}

/** chunk-ext = *( ";" token [ "=" ( token / quoted-string ) ] ) */
function nextInExtension(state: State, byte: number): State {
  const isToken = lowerToken[byte] !== 0;
  switch (state) {
    case State.extensionName:
      return isToken ? State.extensionNameRest : State.faulty;
    case State.extensionNameRest:
      if (isToken) return State.extensionNameRest;
      return byte === EQUALS ? State.extensionValue : afterExtension(byte);
    case State.extensionValue:
      if (byte === QUOTE) return State.extensionQuoted;
      return isToken ? State.extensionToken : State.faulty;
    case State.extensionToken:
      return isToken ? State.extensionToken : afterExtension(byte);
    case State.extensionQuoted:
      if (byte === QUOTE) return State.extensionQuotedEnd;
      if (byte === BACKSLASH) return State.extensionEscape;
      return fieldValue[byte] === 1 ? State.extensionQuoted : State.faulty;
    case State.extensionEscape:
      return fieldValue[byte] === 1 ? State.extensionQuoted : State.faulty;
    default:
      return afterExtension(byte);
  }
}

function afterExtension(byte: number): State {
  if (byte === SEMICOLON) return State.extensionName;
  return byte === CR ? State.sizeLf : State.faulty;
}
