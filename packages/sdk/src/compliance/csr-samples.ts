/** Texts that are no certificate request, each in another way. */
export const garbageRequests: readonly string[] = [
  'garbage',
  '\0\u{1f511}',
  '-----BEGIN CERTIFICATE REQUEST-----',
  '-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n',
  '-----BEGIN CERTIFICATE REQUEST-----\n!!!!\n-----END CERTIFICATE REQUEST-----\n',
  // A DER sequence that ends too early, and one that is whole and means nothing.
  '-----BEGIN CERTIFICATE REQUEST-----\nMIIBAjCB\n-----END CERTIFICATE REQUEST-----\n',
  '-----BEGIN CERTIFICATE REQUEST-----\nMAMCAQA=\n-----END CERTIFICATE REQUEST-----\n',
  '-----BEGIN PUBLIC KEY-----\nMAMCAQA=\n-----END PUBLIC KEY-----\n',
];
