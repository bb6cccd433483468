const LONGEST = 300;

/** Text of a server for a terminal: on one line, without control characters, at most 300 characters, and without any of the secrets. */
export function quoted(text: string, secrets: readonly string[] = []): string {
  let clean = text;
  for (const secret of secrets) if (secret.length >= 4) clean = clean.replaceAll(secret, '[secret]');
  clean = clean.replace(/[\p{C}\s]+/gu, ' ').trim();
  return clean.length > LONGEST ? `${clean.slice(0, LONGEST)}…` : clean;
}
