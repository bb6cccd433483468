/** `tracestate` keys: as Level 2 §3.3.1.3.1 has them, which takes in those of Level 1 (with `tenant@system`). */
const STATE_KEY = /^(?:[a-z0-9][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})$/;
const STATE_VALUE = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;
const MOST_STATES = 32;

const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const OCTETS = '[\\x21\\x23-\\x2b\\x2d-\\x3a\\x3c-\\x5b\\x5d-\\x7e]*';
const BAGGAGE_PAIR = new RegExp(`^${TOKEN}[ \\t]*=[ \\t]*${OCTETS}$`);
const BAGGAGE_KEY = new RegExp(`^${TOKEN}$`);
const MOST_BAGGAGE = 180;
const LONGEST_BAGGAGE = 8_192;

/** Whether the text of all `tracestate` fields of a request, joined by commas, is well-formed (W3C Trace Context §3.3): else nobody passes it on. */
export function isTraceState(text: string): boolean {
  const members = membersOf(text);
  if (members.length === 0 || members.length > MOST_STATES) return false;
  const seen = new Set<string>();
  for (const member of members) {
    const equals = member.indexOf('=');
    const key = member.slice(0, Math.max(0, equals));
    if (!STATE_KEY.test(key) || seen.has(key) || !STATE_VALUE.test(member.slice(equals + 1))) return false;
    seen.add(key);
  }
  return true;
}

/** Whether the text of all `baggage` fields of a request, joined by commas, is well-formed (W3C Baggage §3.3) and within its bounds. */
export function isBaggage(text: string): boolean {
  if (text.length > LONGEST_BAGGAGE) return false;
  const members = text.split(',');
  return members.length <= MOST_BAGGAGE && members.every(isBaggageMember);
}

function isBaggageMember(member: string): boolean {
  const [pair, ...properties] = member.split(';').map(trimmed);
  return BAGGAGE_PAIR.test(pair) && properties.every((property) => BAGGAGE_KEY.test(property) || BAGGAGE_PAIR.test(property));
}

/** Members may be empty (§3.3.1.3). */
function membersOf(text: string): string[] {
  return text
    .split(',')
    .map(trimmed)
    .filter((member) => member !== '');
}

/** Without the white space that HTTP allows around the members of a list (RFC 9110 §5.6.3), and no other. */
function trimmed(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
