import type { TransactionContext } from '@sallyport/sdk';

/** What a call says about itself, for the detail of an error: bounded, and without target and data, which may hold what is nobody's business. */
export function describeCall({ vendorId, marketplaceId, productId, environmentId }: TransactionContext): string {
  const fields = { vendorId, marketplaceId, productId, environmentId };
  const said = Object.entries(fields).filter(([, value]) => value !== '');
  if (said.length === 0) return 'the call names no vendor, marketplace, product or environment';
  return `the call has ${said.map(([name, value]) => `${name} ${JSON.stringify(value.slice(0, 80))}`).join(', ')}`;
}
