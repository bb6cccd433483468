/**
 * The library that reads and makes certificates and requests. Loaded on first use: it takes longer than the rest of a start, which needs none of
 * it. It wants Reflect metadata to be there before it is.
 */
export async function x509Library(): Promise<typeof import('@peculiar/x509')> {
  await import('reflect-metadata');
  return import('@peculiar/x509');
}
