const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const LONGEST = 253;
/** Hexadecimal ones are numbers too. */
const NUMBER = /^([0-9]+|0x[0-9a-f]*)$/;

/** Whether this is a host name in lower case ASCII (RFC 1123) that no client takes for an address: one that ends in a number (WHATWG URL §3.5). */
export function isHostName(text: string): boolean {
  if (text.length > LONGEST) return false;
  const labels = text.split('.');
  return labels.every((label) => LABEL.test(label)) && !NUMBER.test(labels[labels.length - 1]);
}
