/**
 * Text that comes from elsewhere, for a terminal: control characters, among them the escape that begins a command to the terminal, and the characters
 * that turn the direction of what follows are written as `\u{1b}`.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}
