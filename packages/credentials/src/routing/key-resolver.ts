import { type CallOptions, SallyportError, type TransactionContext } from '@sallyport/sdk';

/** Knows which key (a tenant, an account) belongs to a call. */
export interface KeyResolver {
  /** An empty text says that there is none. */
  resolveKey(context: TransactionContext, options: CallOptions): string | Promise<string>;
}

/**
 * The key of a call: what the platform sent in the given field of the context data, otherwise what the resolver answers. What was sent and is no text,
 * or empty, is an error (`context_data_field_invalid`) and not a reason to ask the resolver. Throws `context_data_missing` when nobody knows the key;
 * errors of the resolver are passed on with `resolving FIELD: ` in front, under their own code if they have one.
 */
export async function resolveCredentialKey(
  context: TransactionContext,
  field: string,
  resolver: KeyResolver | null,
  options: CallOptions,
): Promise<string> {
  const sent = context.dataString(field);
  if (sent !== null) return sent;
  const resolved = resolver === null ? '' : await asked(context, field, resolver, options);
  if (typeof resolved === 'string' && resolved !== '') return resolved;
  const reason = resolver === null ? 'and no mapping provides it' : 'and the mapping answered nothing';
  throw new SallyportError('context_data_missing', {
    detail: `missing required context data: the field ${JSON.stringify(field)} was not sent, ${reason}`,
    members: { field },
  });
}

async function asked(context: TransactionContext, field: string, resolver: KeyResolver, options: CallOptions): Promise<string> {
  try {
    return await resolver.resolveKey(context, options);
  } catch (error) {
    // Who gave up is not told that something went wrong.
    if (options.signal.aborted) throw error;
    const what = `resolving ${field}: ${error instanceof Error ? error.message : String(error)}`;
    if (!(error instanceof SallyportError)) throw new Error(what, { cause: error });
    throw new SallyportError(error.code, { detail: what, hint: error.hint, members: error.members, cause: error });
  }
}
