import { SallyportError } from './errors.js';

/** What a platform says about one call, as fields. Texts are empty where the platform said nothing. */
export interface TransactionFields {
  /** The target as the platform wrote it: absolute, already admitted by the policy. */
  readonly targetUrl: string;
  readonly vendorId?: string;
  readonly environmentId?: string;
  readonly marketplaceId?: string;
  readonly productId?: string;
  readonly subscriptionId?: string;
  /** The request id, accepted or generated. Takes no part in any cache key. */
  readonly traceId?: string;
  /** The decoded `Context-Data` object; left out or null when the platform sent none. */
  readonly data?: Readonly<Record<string, unknown>> | null;
}

/** What a platform says about one call: the argument of every decision that a plugin takes. Immutable. */
export class TransactionContext implements TransactionFields {
  readonly targetUrl: string;
  readonly vendorId: string;
  readonly environmentId: string;
  readonly marketplaceId: string;
  readonly productId: string;
  readonly subscriptionId: string;
  readonly traceId: string;
  readonly data: Readonly<Record<string, unknown>> | null;

  constructor(fields: TransactionFields) {
    this.targetUrl = fields.targetUrl;
    this.vendorId = fields.vendorId ?? '';
    this.environmentId = fields.environmentId ?? '';
    this.marketplaceId = fields.marketplaceId ?? '';
    this.productId = fields.productId ?? '';
    this.subscriptionId = fields.subscriptionId ?? '';
    this.traceId = fields.traceId ?? '';
    this.data = fields.data ?? null;
  }

  /**
   * The text that `data` holds under `field`; null when there is no such field. Throws `context_data_field_invalid` when it holds anything but a
   * text that is not empty: a caller who meant to say something is not read as one who said nothing.
   */
  dataString(field: string): string | null {
    if (this.data === null || !Object.hasOwn(this.data, field)) return null;
    const value = this.data[field];
    if (typeof value === 'string' && value !== '') return value;
    throw new SallyportError('context_data_field_invalid', {
      detail: `the field ${JSON.stringify(field)} of the context data is ${value === '' ? 'empty' : 'not a text'}`,
      members: { field },
    });
  }
}
