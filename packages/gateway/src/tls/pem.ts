/** The certificates in a PEM text (RFC 7468), each as a block of its own; everything around them is passed over. Blocks are not parsed. */
export function pemCertificates(text: string): string[] {
  // A character class that excludes the dash keeps the time linear when a block is never closed.
  return text.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----/g) ?? [];
}

/** A certificate in DER form as a PEM block with lines of 64 characters and a newline at the end. */
export function certificatePem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
